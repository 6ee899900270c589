//! What a checked request asks for, whichever wire format it came in.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{
    located_value::LocatedValue,
    refusal::{RefusalReason, RequestRefusal},
};
use crate::scenario::RequestKeys;

/// A request that passed every check.
#[derive(Debug)]
pub(super) struct CheckedRequest {
    pub(super) wire: super::WireFormat,
    pub(super) keys: RequestKeys,
    pub(super) body_bytes: usize,
    /// Digest of the body; what is derived from it is the same when the same request comes again.
    pub(super) digest: String,
    pub(super) form: RequestForm,
}

/// What the body of a request says about the answer it wants.
#[derive(Debug)]
pub(super) struct RequestForm {
    pub(super) stream: bool,
    /// A stream ends with a chunk of token counts.
    pub(super) usage_chunk: bool,
    /// Assistant messages in the conversation.
    pub(super) turn: u32,
    pub(super) max_tokens: Option<u64>,
    pub(super) tools: Vec<OfferedTool>,
    pub(super) choice: RequestedChoice,
    /// Several tool calls may come in one answer.
    pub(super) parallel: bool,
}

/// A tool the model may call.
#[derive(Debug)]
pub(super) struct OfferedTool {
    pub(super) name: String,
    pub(super) schema: Json,
}

/// Whether a tool must be called.
#[derive(Debug, PartialEq)]
pub(super) enum RequestedChoice {
    Auto,
    Any,
    Named(String),
    None,
}

pub(super) const TOOL_NAME_CHARS_MAX: usize = 64;

/// Adds a tool, whose name must be new.
pub(super) fn offer_tool(
    tools: &mut Vec<OfferedTool>,
    name: &LocatedValue<'_>,
    schema: Json,
) -> Result<(), RequestRefusal> {
    let text = name.valid_name(TOOL_NAME_CHARS_MAX)?.to_owned();
    if tools.iter().any(|tool| tool.name == text) {
        return Err(name.refuse_with(RefusalReason::DuplicateTool { name: text }));
    }
    tools.push(OfferedTool { name: text, schema });
    Ok(())
}

/// A choice by name must name a tool that is offered.
pub(super) fn named_choice(
    tools: &[OfferedTool],
    name: &LocatedValue<'_>,
) -> Result<RequestedChoice, RequestRefusal> {
    let text = name.as_text()?.to_owned();
    if tools.iter().any(|tool| tool.name == text) {
        return Ok(RequestedChoice::Named(text));
    }
    Err(name.refuse_with(RefusalReason::ChoiceNotOffered { name: text }))
}

/// The tool calls of a conversation: each id once, each answered in the next message.
#[derive(Default)]
pub(super) struct ToolCallLedger {
    seen: HashSet<String>,
    /// Calls of the last assistant message that have no result yet.
    open: Vec<String>,
    answered: HashSet<String>,
}

impl ToolCallLedger {
    /// Whether the conversation holds any call.
    pub(super) fn has_calls(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(super) fn add_call(&mut self, id: &LocatedValue<'_>) -> Result<(), RequestRefusal> {
        let text = id.valid_name(ID_CHARS_MAX)?.to_owned();
        if !self.seen.insert(text.clone()) {
            return Err(id.refuse_with(RefusalReason::DuplicateToolId { id: text }));
        }
        self.open.push(text);
        Ok(())
    }

    pub(super) fn add_result(&mut self, id: &LocatedValue<'_>) -> Result<(), RequestRefusal> {
        let text = id.as_text()?.to_owned();
        if let Some(index) = self.open.iter().position(|open| *open == text) {
            self.answered.insert(self.open.swap_remove(index));
            return Ok(());
        }
        Err(id.refuse_with(if self.answered.contains(&text) {
            RefusalReason::ToolResultTwice { id: text }
        } else {
            RefusalReason::ToolResultOrphan { id: text }
        }))
    }

    /// No call may be left open where the results had to be; `at` is that message.
    pub(super) fn all_answered(&mut self, at: &LocatedValue<'_>) -> Result<(), RequestRefusal> {
        self.answered.clear();
        match self.open.first() {
            None => Ok(()),
            Some(id) => Err(at.refuse_with(RefusalReason::ToolUseUnanswered { id: id.clone() })),
        }
    }
}

const ID_CHARS_MAX: usize = 128;
