//! What rules find in an output.

use serde::{Deserialize, Serialize};

/// Something a rule found in an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFinding {
    /// Stable name, such as `duplicate_id`.
    pub code: String,
    /// What is wrong and what would be right, for the model and for people.
    pub message: String,
    /// Where in the output.
    pub path: String,
}
