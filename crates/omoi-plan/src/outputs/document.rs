//! Output of a phase of a ticket: one document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketDocument {
    /// The document, as Markdown.
    pub document: String,
}
