//! `submit_item`: one item of a phase's output.

use omoi_protocol::worker::{ItemAck, SubmitItem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ToolError, Toolbox, object};

pub(super) const DESCRIPTION: &str = "Hands in one item of this phase's output. It is checked at once; a refusal says what \
    to mend. The same section and key again replaces the item; null as the value withdraws it.";

/// Its input. The phase is the attempt's own; models name it and the platform knows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(rename = "phase")]
    _phase: Option<String>,
    section: String,
    #[serde(default)]
    key: String,
    value: Value,
}

pub(super) fn schema(item: Option<&Value>) -> Value {
    item.cloned().unwrap_or_else(|| {
        object(
            json!({
                "phase": {"type": "string"}, "section": {"type": "string"},
                "key": {"type": "string"}, "value": {},
            }),
            &["section", "key", "value"],
        )
    })
}

pub(super) async fn run(toolbox: &Toolbox, input: Input) -> Result<String, ToolError> {
    let item = SubmitItem {
        section: input.section,
        key: input.key,
        value: input.value,
    };
    let ack: ItemAck = toolbox.platform.post("/items", &item).await?;
    let mut out = format!("accepted as item {}", ack.seq);
    for note in ack.notes {
        out.push_str("\nnote: ");
        out.push_str(&note);
    }
    Ok(out)
}
