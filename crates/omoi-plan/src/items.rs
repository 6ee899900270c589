//! Submission of a phase output item by item.
//!
//! Each top-level field of a phase output is a section: either one value or a list of keyed items.
//! Every item is checked against the type of its section at once; [`assemble`] puts the accepted
//! ones together.

mod assembly;
mod submission;

pub use assembly::{Missing, assemble, latest, split};
pub use submission::{Accepted, Item, ItemError, Submission, validate_item};
