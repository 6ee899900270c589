//! What a checked request asks for, whichever wire format it came in.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{
    Dialect,
    cache_figures::PromptTokens,
    located_value::LocatedValue,
    refusal::{RefusalReason, RequestRefusal},
};
use crate::scenario::RequestKeys;

/// A request that passed every check.
#[derive(Debug)]
pub(super) struct CheckedRequest {
    pub(super) wire: Dialect,
    /// A client of ours: it is answered to the letter of the scenario.
    pub(super) own: bool,
    pub(super) keys: RequestKeys,
    /// The caller asks something beside its work, as [`super::side_answer`] tells.
    pub(super) is_side: bool,
    /// Tokens of the request, by what of them a cache holds.
    pub(super) prompt: PromptTokens,
    /// Digest of the body; what is derived from it is the same when the same request comes again.
    pub(super) digest: String,
    /// Where the caller says that it works.
    pub(super) folder: Option<String>,
    pub(super) form: RequestForm,
}

/// What the body of a request says about the answer it wants.
#[derive(Debug)]
pub(super) struct RequestForm {
    pub(super) stream: bool,
    /// A stream ends with a chunk of token counts.
    pub(super) usage_chunk: bool,
    /// Answers of the model in the conversation.
    pub(super) turn: u32,
    /// The conversation holds tool calls.
    pub(super) has_calls: bool,
    pub(super) max_tokens: Option<u64>,
    pub(super) tools: Vec<OfferedTool>,
    pub(super) choice: RequestedChoice,
    /// Several tool calls may come in one answer.
    pub(super) parallel: bool,
    pub(super) reasoning: ReasoningForm,
    /// The schema that the answer's text must fit.
    pub(super) demanded: Option<Json>,
}

/// What of the model's reasoning the request wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReasoningForm {
    /// Its text, or a summary of it.
    pub(super) shown: bool,
    /// A sealed copy that may come back.
    pub(super) sealed: bool,
}

/// A tool the model may call.
#[derive(Debug)]
pub(super) struct OfferedTool {
    pub(super) name: String,
    /// The group it is offered in, in the one format that knows groups.
    pub(super) group: Option<String>,
    pub(super) form: ToolForm,
    /// Schema of its arguments; any where it takes text.
    pub(super) schema: Json,
}

/// What a tool is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolForm {
    /// Arguments that fit a schema.
    Arguments,
    /// Text without any form.
    Freeform,
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

/// Adds a tool, whose name must be new in its group.
pub(super) fn offer_tool(
    tools: &mut Vec<OfferedTool>,
    name: &LocatedValue<'_>,
    tool: OfferedTool,
) -> Result<(), RequestRefusal> {
    name.valid_name(TOOL_NAME_CHARS_MAX)?;
    let is_known = |known: &OfferedTool| known.name == tool.name && known.group == tool.group;
    if tools.iter().any(is_known) {
        return Err(name.refuse_with(RefusalReason::DuplicateTool { name: tool.name }));
    }
    tools.push(tool);
    Ok(())
}

impl OfferedTool {
    /// A tool of no group with arguments.
    pub(super) fn with_arguments(
        name: &LocatedValue<'_>,
        schema: Json,
    ) -> Result<Self, RequestRefusal> {
        Ok(Self {
            name: name.as_text()?.to_owned(),
            group: None,
            form: ToolForm::Arguments,
            schema,
        })
    }
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
    /// The conversation goes on from an answer that is not in the request: results may belong to its calls.
    continues: bool,
}

impl ToolCallLedger {
    /// The calls of a conversation whose beginning the request leaves out.
    pub(super) fn continued_calls() -> Self {
        Self {
            continues: true,
            ..Self::default()
        }
    }

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
        if self.continues && !self.seen.contains(&text) {
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
