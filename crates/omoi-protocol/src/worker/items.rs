//! The output of a phase, handed in item by item.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Items of one report.
pub const ITEMS_MAX: usize = 64;

/// `POST /items`: items of a phase's output, taken in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "items": [{ "section": "requirements", "key": "REQ-TODO-FUNC-001", "value": {} }] }))]
pub struct SubmitItems {
    /// At most [`ITEMS_MAX`].
    pub items: Vec<SubmitItem>,
}

/// One item of a phase's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubmitItem {
    /// The section of the output.
    pub section: String,
    /// The item's key; the same key again replaces.
    pub key: String,
    /// The item, by the schema of its section.
    pub value: Value,
}

/// Answer to items: what became of each, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemsAck {
    /// As many as there were items.
    pub outcomes: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    /// It is part of the output.
    Accepted(ItemAck),
    /// It breaks a rule; the others are not touched by that.
    Refused {
        /// What was expected, for the model to mend.
        message: String,
    },
}

/// An item that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemAck {
    /// Position in the phase's journal.
    pub seq: i64,
    /// Rewrites made on the way in.
    pub notes: Vec<String>,
}

/// `POST /done`: whether a phase's output is complete. Refused with 422 naming what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoneAck {
    /// Items in the journal.
    pub items: u32,
}
