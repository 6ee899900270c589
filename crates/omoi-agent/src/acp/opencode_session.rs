//! A conversation as opencode takes it in: our turns hold all of it, so it is put back from them.

use std::path::Path;

use omoi_domain::agent_program::AgentProgram;
use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolUseBlock};
use omoi_protocol::worker::AttemptContext;
use serde_json::{Value, json};

use super::opencode::{AGENT, PROVIDER};
use crate::program::tool_server::SERVER_NAME;
use crate::runtime::RuntimeError;
use crate::tools::is_own_tool;
use crate::transcript::{AgentReply, read_turn, text_of_blocks};

/// What a session is made of, beside the turns.
pub(super) struct SessionSource<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// The work tree.
    pub(super) workspace: &'a Path,
    /// Version of the program.
    pub(super) version: &'a str,
}

/// The session of the turns that `context` holds, without the words that come next.
pub(super) fn render_session(
    context: &AttemptContext,
    source: &SessionSource<'_>,
) -> Result<Value, RuntimeError> {
    let mut session = SessionText {
        source,
        model: &context.model,
        messages: Vec::new(),
        parts: 0,
    };
    session.add_user(&context.prompt);
    let last = context.resume.len().saturating_sub(1);
    for (n, turn) in context.resume.iter().enumerate() {
        let (reply, results) = read_turn(turn)?;
        session.add_reply(&reply, &results);
        let words = results.iter().filter(|block| block.as_text().is_some());
        let words: Vec<_> = words.cloned().collect();
        if n < last && !words.is_empty() {
            session.add_user(&text_of_blocks(&words));
        }
    }
    Ok(json!({
        "info": {
            "id": source.id, "slug": "omoi", "projectID": "global", "directory": source.workspace, "path": "",
            "title": context.subject_ref, "agent": AGENT, "version": source.version,
            "model": {"id": context.model, "providerID": PROVIDER},
            "cost": 0, "tokens": no_tokens(), "time": {"created": 0, "updated": 0},
        },
        "messages": session.messages,
    }))
}

struct SessionText<'a> {
    source: &'a SessionSource<'a>,
    model: &'a str,
    messages: Vec<Value>,
    parts: usize,
}

impl SessionText<'_> {
    fn add_user(&mut self, text: &str) {
        let id = message_id(self.messages.len());
        let info = json!({
            "id": id, "sessionID": self.source.id, "role": "user", "agent": AGENT,
            "model": {"providerID": PROVIDER, "modelID": self.model},
            "time": {"created": self.messages.len()},
        });
        let part = self.part(&id, json!({"type": "text", "text": text}));
        self.messages.push(json!({"info": info, "parts": [part]}));
    }

    fn add_reply(&mut self, reply: &AgentReply, results: &[ContentBlock]) {
        let n = self.messages.len();
        let id = message_id(n);
        let has_calls = !reply.tool_calls().is_empty();
        let info = json!({
            "id": id, "sessionID": self.source.id, "parentID": message_id(n.saturating_sub(1)),
            "role": "assistant", "mode": AGENT, "agent": AGENT,
            "path": {"cwd": self.source.workspace, "root": self.source.workspace},
            "cost": 0, "tokens": no_tokens(), "modelID": self.model, "providerID": PROVIDER,
            "time": {"created": n, "completed": n},
            "finish": if has_calls { "tool-calls" } else { "stop" },
        });
        let parts = reply.0.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(tool_part(call, results)),
            block => block
                .as_text()
                .map(|text| json!({"type": "text", "text": text})),
        });
        let parts: Vec<_> = parts.collect();
        let parts: Vec<_> = parts.into_iter().map(|part| self.part(&id, part)).collect();
        self.messages.push(json!({"info": info, "parts": parts}));
    }

    fn part(&mut self, message: &str, mut part: Value) -> Value {
        self.parts += 1;
        part["id"] = json!(format!("prt_{:012}{PADDING}", self.parts));
        part["sessionID"] = json!(self.source.id);
        part["messageID"] = json!(message);
        part
    }
}

/// Fills an id to its length.
const PADDING: &str = "omoiomoiomoiom";

/// An id that sorts by its number, and before every id that the program makes.
fn message_id(n: usize) -> String {
    format!("msg_{n:012}{PADDING}")
}

fn no_tokens() -> Value {
    json!({"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}})
}

fn tool_part(call: &ToolUseBlock, results: &[ContentBlock]) -> Value {
    let result = results.iter().find_map(|block| match block {
        ContentBlock::ToolResult(result) if result.tool_use_id == call.id => Some(result),
        _ => None,
    });
    let told = result.and_then(|result| result.content.as_ref());
    let told = told.map(MessageContent::joined_text).unwrap_or_default();
    let time = json!({"start": 0, "end": 0});
    let state = match result.is_some_and(|result| result.is_error != Some(true)) {
        true => json!({
            "status": "completed", "input": call.input, "output": told, "title": call.name,
            "metadata": {}, "time": time,
        }),
        false => json!({"status": "error", "input": call.input, "error": told, "time": time}),
    };
    json!({"type": "tool", "tool": program_name(&call.name), "callID": call.id, "state": state})
}

/// The name that the program knows a tool by: ours carry the name of their server.
fn program_name(name: &str) -> String {
    match is_own_tool(AgentProgram::AcpOpenCode, name) {
        true => format!("{SERVER_NAME}_{name}"),
        false => name.to_owned(),
    }
}
