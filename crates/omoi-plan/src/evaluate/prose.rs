//! What a text says, as far as that can be told without understanding it: its words, their order,
//! and where they come from.
//!
//! The rules know English function words and no other language. A text with few of them is left
//! alone, except where the request itself is in English.

mod order;
mod passages;
mod quotations;
mod vocabulary;

pub(super) use order::{WordOrder, is_english, is_not_english};
pub(super) use passages::{ProsePassage, prose_passages};
pub(super) use quotations::Quotations;
pub(super) use vocabulary::{content_stems, says_something, specific_stems, without_numbers};
