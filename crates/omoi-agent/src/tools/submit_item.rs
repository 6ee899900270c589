//! `submit_item`: one item of a phase's output.

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_protocol::worker::{ItemAck, SubmitItem};

use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Hands in one item of this phase's output. It is checked at once; a refusal says what \
    to mend. The same section and key again replaces the item; null as the value withdraws it.";

/// Its input. The phase is the attempt's own; models name it and the platform knows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitItemInput {
    #[serde(rename = "phase")]
    _phase: Option<String>,
    section: String,
    #[serde(default)]
    key: String,
    value: Value,
}

pub(super) fn input_schema(item: Option<&Value>) -> Value {
    item.cloned().unwrap_or_else(|| {
        object_schema(
            json!({
                "phase": {"type": "string"}, "section": {"type": "string"},
                "key": {"type": "string"}, "value": {},
            }),
            &["section", "key", "value"],
        )
    })
}

pub(super) async fn run(tools: &AgentTools, input: SubmitItemInput) -> Result<String, ToolError> {
    let item = SubmitItem {
        section: input.section,
        key: input.key,
        value: input.value,
    };
    let ack: ItemAck = tools.platform.post_json("/items", &item).await?;
    let mut out = format!("accepted as item {}", ack.seq);
    for note in ack.notes {
        out.push_str("\nnote: ");
        out.push_str(&note);
    }
    Ok(out)
}
