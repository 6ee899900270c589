//! `plan`: the steps that the agent means to take.

use serde_json::{Value, json};

use super::{AgentTools, ToolError, object_schema};
use crate::agent_notes::{NotedPlan, joined_lines};

pub(super) const DESCRIPTION: &str = "Your plan for work of several steps: the whole list each time, one step active. It \
    stays when the conversation is shortened, and people see it.";

pub(super) fn input_schema() -> Value {
    let step = object_schema(
        json!({
            "step": {"type": "string"},
            "state": {"type": "string", "enum": ["pending", "active", "done"]},
        }),
        &["step", "state"],
    );
    object_schema(
        json!({ "steps": {"type": "array", "items": step} }),
        &["steps"],
    )
}

pub(super) fn run(tools: &AgentTools, input: NotedPlan) -> Result<String, ToolError> {
    let mut notes = tools.lock_notes();
    notes.replace_plan(input)?;
    Ok(joined_lines(&notes.plan_lines(), "the plan is empty"))
}
