//! Judges phase outputs by rules: a weighted score, blockers and warnings.

use serde::{Deserialize, Serialize};

/// Something a rule found in an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name, such as `duplicate_id`.
    pub code: String,
    /// What is wrong and what would be right, for the model and for people.
    pub message: String,
    /// Where in the output.
    pub path: String,
}

/// A finding that stops the phase whatever its score.
pub type Blocker = Finding;

/// A finding that does not.
pub type Warning = Finding;
