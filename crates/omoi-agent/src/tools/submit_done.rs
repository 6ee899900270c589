//! `submit_done`: a phase's output is complete.

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_protocol::worker::DoneAck;

use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Says that this phase's output is complete. When something is missing, it is named; \
    hand that in and call this again.";

/// Input of the tool `submit_done`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitDoneInput {
    #[serde(rename = "phase")]
    _phase: Option<String>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({"phase": {"type": "string", "description": "This phase."}}),
        &[],
    )
}

pub(super) async fn run(tools: &AgentTools, _input: SubmitDoneInput) -> Result<String, ToolError> {
    let ack: DoneAck = tools.platform.post_json("/done", &json!({})).await?;
    Ok(format!("complete, with {} items", ack.items))
}
