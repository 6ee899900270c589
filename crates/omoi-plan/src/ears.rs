//! Requirement sentences in EARS: one tokenising parser and its printer.
//!
//! Keywords are whole words in any case, so SHALL is not found in *shallow* nor MAY in *mayor*.
//! `parse(print(parse(s))) == parse(s)` for every sentence that parses.

mod flaws;
mod form;
mod sentence;

pub use flaws::{FlaggedWording, WordingFlaw, flagged_wordings};
pub use form::{MisplacedKeyword, misplaced_keyword};
pub use sentence::{
    EarsClause, EarsError, EarsKind, EarsModality, EarsSentence, EarsTrigger, compose_sentence,
    count_normative, parse_sentence,
};
