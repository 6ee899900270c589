//! Reasoning that only its maker can read, carried through dialects of others.
//!
//! Where an answer is written in another dialect, its sealed reasoning is put into the field which that
//! dialect has for such things (a signature, encrypted content), behind a prefix of ours and with the
//! name of its maker. Whoever keeps the conversation sends it back without reading it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::wire::carried_reasoning::SEAL_PREFIX;
use crate::wire::dialect::Dialect;

/// Reasoning in a form that only its maker reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReasoningSeal {
    /// Who made it, see [`crate::route::ModelRoute::maker_id`]. `None` where the conversation does not say:
    /// it came from a model that speaks `dialect` itself.
    pub maker: Option<String>,
    /// The dialect in which it was made.
    pub dialect: Dialect,
    /// What its maker reads, in that dialect's form.
    pub payload: Value,
}

impl ReasoningSeal {
    /// The seal as one text, for a field that another dialect has for such things.
    pub(crate) fn to_text(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{SEAL_PREFIX}{json}")
    }

    /// Reads what [`ReasoningSeal::to_text`] wrote.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(SEAL_PREFIX)?).ok()
    }

    /// Whether the model at `maker`, which speaks `dialect`, can read it.
    pub(crate) fn is_readable_by(&self, dialect: Dialect, maker: &str) -> bool {
        self.dialect == dialect && self.maker.as_deref().is_none_or(|own| own == maker)
    }
}

/// Takes from a request, which goes through as it came, the reasoning of other makers: its receiver would
/// refuse it. Gives whether there was any.
pub fn drop_sealed_reasoning(body: &mut Value) -> bool {
    let mut dropped = false;
    for list in ["messages", "input"] {
        let Some(entries) = body.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for entry in entries.iter_mut() {
            drop_shown_reasoning(entry);
            for inner in ["content", "reasoning_details"] {
                if let Some(blocks) = entry.get_mut(inner).and_then(Value::as_array_mut) {
                    let before = blocks.len();
                    blocks.retain(|block| !is_sealed(block));
                    dropped |= blocks.len() < before;
                }
            }
        }
        let before = entries.len();
        entries.retain(|entry| !is_sealed(entry));
        dropped |= entries.len() < before;
    }
    dropped
}

/// Takes from a chat message what it shows of reasoning that it holds sealed.
fn drop_shown_reasoning(message: &mut Value) {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    if details.is_some_and(|details| details.iter().any(is_sealed))
        && let Some(fields) = message.as_object_mut()
    {
        fields.shift_remove("reasoning_content");
        fields.shift_remove("reasoning");
    }
}

fn is_sealed(block: &Value) -> bool {
    ["signature", "data", "encrypted_content"]
        .iter()
        .any(|field| {
            let text = block.get(field).and_then(Value::as_str);
            text.is_some_and(|text| text.starts_with(SEAL_PREFIX))
        })
}
