//! `submit_done`: a phase's output is complete.

use omoi_protocol::worker::DoneAck;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ToolError, Toolbox, object};

pub(super) const DESCRIPTION: &str = "Says that this phase's output is complete. When something is missing, it is named; \
    hand that in and call this again.";

/// Its input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(rename = "phase")]
    _phase: Option<String>,
}

pub(super) fn schema() -> Value {
    object(
        json!({"phase": {"type": "string", "description": "This phase."}}),
        &[],
    )
}

pub(super) async fn run(toolbox: &Toolbox, _input: Input) -> Result<String, ToolError> {
    let ack: DoneAck = toolbox.platform.post("/done", &json!({})).await?;
    Ok(format!("complete, with {} items", ack.items))
}
