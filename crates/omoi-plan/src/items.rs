//! Submission of a phase output item by item.
//!
//! Each top-level field of a phase output is a section: either one value or a list of keyed items.
//! Every item is checked against the type of its section at once; [`assemble_output`] puts the accepted
//! ones together.

mod assembly;
mod submission;

pub use assembly::{MissingSection, assemble_output, latest_items, split_output};
pub use submission::{AcceptedItem, ItemError, ItemSubmission, OutputItem, validate_item};
