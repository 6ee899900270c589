//! What a checked request asks for, whichever wire format it came in.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{
    refusal::{Reason, Refusal},
    walk::At,
};
use crate::scenario::RequestKeys;

/// A request that passed every check.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) wire: super::Wire,
    pub(super) keys: RequestKeys,
    pub(super) body_bytes: usize,
    /// Digest of the body; what is derived from it is the same when the same request comes again.
    pub(super) digest: String,
    pub(super) form: Form,
}

/// What the body of a request says about the answer it wants.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) stream: bool,
    /// A stream ends with a chunk of token counts.
    pub(super) usage_chunk: bool,
    /// Assistant messages in the conversation.
    pub(super) turn: u32,
    pub(super) max_tokens: Option<u64>,
    pub(super) tools: Vec<Offered>,
    pub(super) choice: Choice,
    /// Several tool calls may come in one answer.
    pub(super) parallel: bool,
}

/// A tool the model may call.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) name: String,
    pub(super) schema: Json,
}

/// Whether a tool must be called.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    Auto,
    Any,
    Named(String),
    None,
}

pub(super) const TOOL_NAME_CHARS_MAX: usize = 64;

/// Adds a tool, whose name must be new.
pub(super) fn offer(tools: &mut Vec<Offered>, name: &At<'_>, schema: Json) -> Result<(), Refusal> {
    let text = name.name(TOOL_NAME_CHARS_MAX)?.to_owned();
    if tools.iter().any(|tool| tool.name == text) {
        return Err(name.refuse(Reason::DuplicateTool { name: text }));
    }
    tools.push(Offered { name: text, schema });
    Ok(())
}

/// A choice by name must name a tool that is offered.
pub(super) fn named(tools: &[Offered], name: &At<'_>) -> Result<Choice, Refusal> {
    let text = name.text()?.to_owned();
    if tools.iter().any(|tool| tool.name == text) {
        return Ok(Choice::Named(text));
    }
    Err(name.refuse(Reason::ChoiceNotOffered { name: text }))
}

/// The tool calls of a conversation: each id once, each answered in the next message.
#[derive(Default)]
pub(super) struct Calls {
    seen: HashSet<String>,
    /// Calls of the last assistant message that have no result yet.
    open: Vec<String>,
    answered: HashSet<String>,
}

impl Calls {
    /// Whether the conversation holds any call.
    pub(super) fn any(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(super) fn call(&mut self, id: &At<'_>) -> Result<(), Refusal> {
        let text = id.name(ID_CHARS_MAX)?.to_owned();
        if !self.seen.insert(text.clone()) {
            return Err(id.refuse(Reason::DuplicateToolId { id: text }));
        }
        self.open.push(text);
        Ok(())
    }

    pub(super) fn result(&mut self, id: &At<'_>) -> Result<(), Refusal> {
        let text = id.text()?.to_owned();
        if let Some(index) = self.open.iter().position(|open| *open == text) {
            self.answered.insert(self.open.swap_remove(index));
            return Ok(());
        }
        Err(id.refuse(if self.answered.contains(&text) {
            Reason::ToolResultTwice { id: text }
        } else {
            Reason::ToolResultOrphan { id: text }
        }))
    }

    /// No call may be left open where the results had to be; `at` is that message.
    pub(super) fn all_answered(&mut self, at: &At<'_>) -> Result<(), Refusal> {
        self.answered.clear();
        match self.open.first() {
            None => Ok(()),
            Some(id) => Err(at.refuse(Reason::ToolUseUnanswered { id: id.clone() })),
        }
    }
}

const ID_CHARS_MAX: usize = 128;
