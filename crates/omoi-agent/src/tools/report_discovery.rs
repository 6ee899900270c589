//! `report_discovery`: work found on the way.

use serde_json::{Value, json};

use omoi_protocol::worker::{DiscoveryAck, ReportDiscovery};

use super::{AgentTools, ToolError, object_schema};

pub(super) const DESCRIPTION: &str = "Reports a bug or missing piece outside your task, so that it becomes a task of its \
    own. Give a check: a command that fails now and passes when it is mended. Then go on with your task.";

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "discovery_type": {"type": "string", "description": "bug, missing_requirement, new_component, optimization, technical_debt …"},
            "title": {"type": "string", "description": "One line; names the task."},
            "description": {"type": "string", "description": "What you found, where, and how to see it."},
            "spawn_phase_id": {"type": "string", "description": "PHASE_IMPLEMENTATION when absent."},
            "priority_boost": {"type": "boolean", "description": "Ahead of its equals."},
            "needed": {"type": "boolean", "description": "The feature cannot succeed without it."},
            "check": object_schema(
                json!({
                    "command": {"type": "string", "description": "Run by `sh -c` at the root of a clean checkout."},
                    "files": {"type": "object", "additionalProperties": {"type": "string"},
                              "description": "Path to text: files laid over the checkout first."},
                }),
                &["command"],
            ),
            "files": {"type": "array", "items": {"type": "string"}, "description": "Files it will touch."},
        }),
        &["discovery_type", "title", "description"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: ReportDiscovery) -> Result<String, ToolError> {
    let ack: DiscoveryAck = tools.platform.post_json("/discoveries", &input).await?;
    Ok(match (ack.task_ref, ack.refused) {
        (Some(task), _) => format!("reported; it is {task} now. Go on with your own task."),
        (None, Some(reason)) => format!("noted, but it becomes no task: {reason}"),
        (None, None) => "noted. Go on with your own task.".to_owned(),
    })
}
