//! Requirement sentences in EARS: one tokenising parser and its printer.
//!
//! Keywords are whole words in any case, so SHALL is not found in *shallow* nor MAY in *mayor*.
//! `parse(print(parse(s))) == parse(s)` for every sentence that parses.

mod flaws;
mod form;
mod sentence;

pub use flaws::{Flagged, Flaw, flagged};
pub use form::{MisplacedKeyword, misplaced};
pub use sentence::{
    Clause, Ears, EarsError, EarsKind, Modality, Trigger, compose, count_normative, parse,
};
