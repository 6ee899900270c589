//! What each tool says of itself: its description, the schema of its input, its line for people.

use omoi_llm::wire::anthropic::{self, ToolUseBlock};
use omoi_protocol::worker::{AgentTool, AttemptContext};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    SHOWN_CHARS_MAX, ToolError, ask_person, edit, find_symbol, glob, grep, image, notes, patch,
    plan, read, report_discovery, report_result, shell, shorten_text, submit_done, submit_item,
    threads, write,
};
use crate::agent_notes::NotedPlan;

/// The tools that requests of this attempt offer.
pub(crate) fn offered_tools(context: &AttemptContext) -> Vec<anthropic::MessagesTool> {
    let item_schema = context.item_schema.as_ref();
    let tools = context.tools.iter();
    tools
        .map(|tool| {
            anthropic::MessagesTool::new(
                tool.as_str(),
                describe_tool(*tool),
                tool_schema(*tool, item_schema),
            )
        })
        .collect()
}

/// A tool's input, or what was expected of it.
pub(super) fn parse_input<T: DeserializeOwned>(
    tool: AgentTool,
    input: &Value,
) -> Result<T, ToolError> {
    T::deserialize(input).map_err(|source| ToolError::Input {
        tool: tool.as_str(),
        source,
        // The schema of items is long and the model has it.
        expected: match tool {
            AgentTool::SubmitItem => {
                json!({"phase": "…", "section": "…", "key": "…", "value": "…"})
            }
            _ => tool_schema(tool, None),
        },
    })
}

pub(super) fn describe_tool(tool: AgentTool) -> &'static str {
    match tool {
        AgentTool::Read => read::DESCRIPTION,
        AgentTool::Glob => glob::DESCRIPTION,
        AgentTool::Grep => grep::DESCRIPTION,
        AgentTool::FindSymbol => find_symbol::DESCRIPTION,
        AgentTool::Write => write::DESCRIPTION,
        AgentTool::Edit => edit::DESCRIPTION,
        AgentTool::ApplyPatch => patch::DESCRIPTION,
        AgentTool::Shell => shell::DESCRIPTION,
        AgentTool::Image => image::DESCRIPTION,
        AgentTool::Notes => notes::DESCRIPTION,
        AgentTool::Plan => plan::DESCRIPTION,
        AgentTool::ReportDiscovery => report_discovery::DESCRIPTION,
        AgentTool::ReportResult => report_result::DESCRIPTION,
        AgentTool::Threads => threads::DESCRIPTION,
        AgentTool::AskPerson => ask_person::DESCRIPTION,
        AgentTool::SubmitItem => submit_item::DESCRIPTION,
        AgentTool::SubmitDone => submit_done::DESCRIPTION,
    }
}

pub(super) fn tool_schema(tool: AgentTool, item_schema: Option<&Value>) -> Value {
    match tool {
        AgentTool::Read => read::input_schema(),
        AgentTool::Glob => glob::input_schema(),
        AgentTool::Grep => grep::input_schema(),
        AgentTool::FindSymbol => find_symbol::input_schema(),
        AgentTool::Write => write::input_schema(),
        AgentTool::Edit => edit::input_schema(),
        AgentTool::ApplyPatch => patch::input_schema(),
        AgentTool::Shell => shell::input_schema(),
        AgentTool::Image => image::input_schema(),
        AgentTool::Notes => notes::input_schema(),
        AgentTool::Plan => plan::input_schema(),
        AgentTool::ReportDiscovery => report_discovery::input_schema(),
        AgentTool::ReportResult => report_result::input_schema(),
        AgentTool::Threads => threads::input_schema(),
        AgentTool::AskPerson => ask_person::input_schema(),
        AgentTool::SubmitItem => submit_item::input_schema(item_schema),
        AgentTool::SubmitDone => submit_done::input_schema(),
    }
}

/// The schema of an object with these properties and nothing else.
pub(super) fn object_schema(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// The one line for people about a call, for calls that no other event tells of.
pub(super) fn call_summary(call: &ToolUseBlock) -> Option<String> {
    let field = |name| call.input.get(name).and_then(Value::as_str).unwrap_or("");
    if call.name == AgentTool::ReportDiscovery.as_str() {
        Some(format!("found: {}", field("title")))
    } else if call.name == AgentTool::AskPerson.as_str() {
        Some(format!("asks: {}", field("question")))
    } else if call.name == AgentTool::SubmitItem.as_str() {
        Some(format!("writing {} {}", field("section"), field("key")))
    } else if call.name == AgentTool::Plan.as_str() {
        let plan = NotedPlan::deserialize(&call.input).ok()?;
        Some(plan.one_line())
    } else {
        None
    }
}

/// The input of a call as an event carries it.
pub(crate) fn shown_input(input: &Value) -> Value {
    let text = input.to_string();
    if text.len() <= SHOWN_CHARS_MAX {
        return input.clone();
    }
    json!({ "shortened": shorten_text(&text, SHOWN_CHARS_MAX), "full_length": text.len() })
}
