//! The lines that Claude Code writes and reads. Fields and kinds that are not used here are passed over:
//! every release adds some.

use omoi_llm::wire::anthropic::ContentBlock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The hook that is called before each tool.
const HOOK: &str = "before_tool";

/// One line of the program.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputLine {
    /// News of the process.
    System(SystemLine),
    /// Blocks of an answer.
    Assistant(MessageLine),
    /// Results of tools.
    User(MessageLine),
    /// A piece of an answer as it comes.
    StreamEvent(StreamLine),
    /// The end of a turn.
    Result(ResultLine),
    /// Something it wants to know.
    ControlRequest {
        /// Id that the answer names.
        request_id: String,
        /// What it is.
        request: ControlRequest,
    },
    /// Its answer to something of ours.
    ControlResponse {
        /// The answer.
        response: ControlResponse,
    },
    /// A line of another kind.
    #[serde(other)]
    Other,
}

/// News of the process; only `init` is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SystemLine {
    /// Kind of news.
    pub(super) subtype: String,
    /// Version of the program.
    pub(super) claude_code_version: Option<String>,
    /// State of the tool servers.
    pub(super) mcp_servers: Vec<ServerState>,
}

/// State of one tool server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ServerState {
    /// Its name.
    pub(super) name: String,
    /// `connected`, or why not.
    pub(super) status: String,
}

/// A message of the conversation.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MessageLine {
    /// The message.
    pub(super) message: LineMessage,
    /// Set for the messages of sub-agents.
    pub(super) parent_tool_use_id: Option<String>,
}

/// The message of a line: all of it, or one block of an answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LineMessage {
    /// Id of the answer.
    pub(super) id: Option<String>,
    /// Model that answered; `<synthetic>` for words of the program itself.
    pub(super) model: Option<String>,
    /// A text, or blocks.
    #[serde(default)]
    pub(super) content: Value,
}

impl LineMessage {
    /// The blocks of the message; those of unknown shape are left out.
    pub(super) fn read_blocks(&self) -> Vec<ContentBlock> {
        let Value::Array(blocks) = &self.content else {
            return Vec::new();
        };
        let read = blocks.iter().map(ContentBlock::deserialize);
        read.filter_map(Result::ok).collect()
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StreamLine {
    /// The piece.
    pub(super) event: StreamPiece,
    /// Set for the answers to sub-agents.
    pub(super) parent_tool_use_id: Option<String>,
}

/// The pieces that mark the end of an answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum StreamPiece {
    /// Why it ended.
    MessageDelta {
        /// The news.
        delta: StopDelta,
    },
    /// It has ended.
    MessageStop,
    /// Any other piece.
    #[serde(other)]
    Other,
}

/// Why an answer ended.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StopDelta {
    /// The vendor's word for it.
    pub(super) stop_reason: Option<String>,
}

/// The end of a turn. Its `subtype` says `success` around failed model calls, so it is not read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultLine {
    /// Whether the turn failed.
    pub(super) is_error: bool,
    /// Status of the model call that failed.
    pub(super) api_error_status: Option<u16>,
    /// Last words.
    pub(super) result: Option<String>,
    /// What went wrong.
    pub(super) errors: Vec<String>,
}

impl ResultLine {
    /// What went wrong, in words.
    pub(super) fn problem_text(&self) -> String {
        let words = self.result.as_deref().unwrap_or_default();
        match self.errors.as_slice() {
            [] if words.is_empty() => "it did not say why".to_owned(),
            [] => words.to_owned(),
            errors => errors.join("; "),
        }
    }
}

/// Something the program wants to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "subtype", rename_all = "snake_case")]
pub(super) enum ControlRequest {
    /// Our hook: a tool is about to run.
    HookCallback {
        /// The tool.
        input: HookInput,
    },
    /// A tool that no rule of its own allows or refuses.
    CanUseTool {
        /// Name of the tool.
        tool_name: String,
        /// Its input.
        input: Value,
        /// Id of the call.
        tool_use_id: Option<String>,
    },
    /// Something else.
    #[serde(other)]
    Other,
}

/// A tool that is about to run.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct HookInput {
    /// Name of the tool.
    #[serde(rename = "tool_name")]
    pub(super) name: String,
    /// Its input.
    #[serde(rename = "tool_input", default)]
    pub(super) input: Value,
    /// Id of the call.
    #[serde(rename = "tool_use_id")]
    pub(super) call_id: Option<String>,
}

/// The answer to a request of ours.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ControlResponse {
    /// Id of the request.
    pub(super) request_id: String,
    /// Why it was refused.
    pub(super) error: Option<String>,
}

/// Id of the request that a line holds which cannot be read whole.
pub(super) fn unread_request(line: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let id = line.get("request_id").and_then(Value::as_str);
    id.filter(|_| line["type"] == "control_request")
        .map(str::to_owned)
}

/// A line to the program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct InputLine(Value);

impl InputLine {
    /// A user message, which begins a turn.
    pub(super) fn user_message(text: &str) -> Self {
        let content = json!([{"type": "text", "text": text}]);
        Self(json!({"type": "user", "message": {"role": "user", "content": content}}))
    }

    /// Asks to be called before each tool. A tool does not run where the hook fails; it is waited for
    /// as long as the attempt may take, since a round may be committed meanwhile.
    pub(super) fn initialize_request(request_id: &str, wall_s: u64) -> Self {
        let before_tool = json!({
            "matcher": "", "hookCallbackIds": [HOOK], "timeout": wall_s, "onFailure": "block",
        });
        let hooks = json!({ "PreToolUse": [before_tool] });
        Self::control_request(request_id, json!({"subtype": "initialize", "hooks": hooks}))
    }

    /// Stops the running turn.
    pub(super) fn interrupt_request(request_id: &str) -> Self {
        Self::control_request(request_id, json!({"subtype": "interrupt"}))
    }

    /// Lets the tool of a hook run, or tells the model why not.
    pub(super) fn hook_verdict(request_id: &str, verdict: &Result<(), String>) -> Self {
        let mut output = json!({"hookEventName": "PreToolUse", "permissionDecision": "allow"});
        if let Err(refusal) = verdict {
            output["permissionDecision"] = json!("deny");
            output["permissionDecisionReason"] = json!(refusal);
        }
        Self::control_response(request_id, json!({ "hookSpecificOutput": output }))
    }

    /// Lets a tool run, or tells the model why not.
    pub(super) fn tool_verdict(
        request_id: &str,
        input: &Value,
        verdict: &Result<(), String>,
    ) -> Self {
        let answer = match verdict {
            Ok(()) => json!({"behavior": "allow", "updatedInput": input}),
            Err(refusal) => json!({"behavior": "deny", "message": refusal}),
        };
        Self::control_response(request_id, answer)
    }

    /// Refuses a request that the driver does not know.
    pub(super) fn unknown_request(request_id: &str) -> Self {
        let error = "this driver does not know that request";
        let response = json!({"subtype": "error", "request_id": request_id, "error": error});
        Self(json!({"type": "control_response", "response": response}))
    }

    fn control_request(request_id: &str, request: Value) -> Self {
        Self(json!({"type": "control_request", "request_id": request_id, "request": request}))
    }

    fn control_response(request_id: &str, answer: Value) -> Self {
        let response = json!({"subtype": "success", "request_id": request_id, "response": answer});
        Self(json!({"type": "control_response", "response": response}))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn read(line: Value) -> OutputLine {
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn lines_are_read_whatever_else_they_hold() {
        let init = read(json!({
            "type": "system", "subtype": "init", "claude_code_version": "2.1.332", "model": "agent",
            "mcp_servers": [{"name": "omoi", "status": "connected", "source": "dynamic"}],
        }));
        let OutputLine::System(init) = init else {
            panic!("{init:?}");
        };
        assert_eq!(init.claude_code_version.as_deref(), Some("2.1.332"));
        assert_eq!(init.mcp_servers[0].status, "connected");
        let status = read(json!({"type": "system", "subtype": "status", "status": "requesting"}));
        assert!(matches!(status, OutputLine::System(_)));
        for other in [
            json!({"type": "command_lifecycle", "state": "started"}),
            json!({"type": "new"}),
        ] {
            assert!(matches!(read(other), OutputLine::Other));
        }
        let hook = read(json!({
            "type": "control_request", "request_id": "r1", "request": {
                "subtype": "hook_callback", "callback_id": HOOK, "input": {
                    "hook_event_name": "PreToolUse", "tool_name": "Bash",
                    "tool_input": {"command": "ls"}, "tool_use_id": "t1", "cwd": "/w"}}}));
        let OutputLine::ControlRequest {
            request: ControlRequest::HookCallback { input },
            ..
        } = hook
        else {
            panic!("{hook:?}");
        };
        assert_eq!(input.input["command"], "ls");
        let other = read(
            json!({"type": "control_request", "request_id": "r", "request": {"subtype": "mcp_message"}}),
        );
        let OutputLine::ControlRequest { request, .. } = other else {
            panic!("{other:?}");
        };
        assert!(matches!(request, ControlRequest::Other));
    }

    #[test]
    fn a_failed_turn_says_why_although_it_calls_itself_a_success() {
        let line = read(json!({
            "type": "result", "subtype": "success", "is_error": true, "api_error_status": 529,
            "result": "API Error: overloaded", "num_turns": 1,
        }));
        let OutputLine::Result(result) = line else {
            panic!("{line:?}");
        };
        assert!(result.is_error);
        assert_eq!(result.api_error_status, Some(529));
        assert_eq!(result.problem_text(), "API Error: overloaded");
        let failed = ResultLine {
            errors: vec!["no conversation found".to_owned()],
            ..result
        };
        assert_eq!(failed.problem_text(), "no conversation found");
        assert_eq!(ResultLine::default().problem_text(), "it did not say why");
    }

    #[test]
    fn a_tool_whose_hook_fails_does_not_run() {
        let InputLine(line) = InputLine::initialize_request("r", 3600);
        let hook = &line["request"]["hooks"]["PreToolUse"][0];
        assert_eq!(
            (&hook["onFailure"], &hook["timeout"]),
            (&json!("block"), &json!(3600))
        );
    }

    #[test]
    fn a_request_that_cannot_be_read_is_known_by_its_id() {
        let request = json!({"subtype": "hook_callback"});
        let line = json!({"type": "control_request", "request_id": "r1", "request": request});
        let line = line.to_string();
        assert!(serde_json::from_str::<OutputLine>(&line).is_err());
        assert_eq!(unread_request(line.as_bytes()).as_deref(), Some("r1"));
        assert_eq!(unread_request(b"{\"type\":\"assistant\"}"), None);
    }

    #[test]
    fn verdicts_have_the_shapes_of_the_program() {
        let refused = Err("no".to_owned());
        let InputLine(hook) = InputLine::hook_verdict("r1", &refused);
        let output = &hook["response"]["response"]["hookSpecificOutput"];
        assert_eq!(output["permissionDecision"], "deny");
        assert_eq!(output["permissionDecisionReason"], "no");
        let input = json!({"command": "ls"});
        let InputLine(tool) = InputLine::tool_verdict("r2", &input, &Ok(()));
        assert_eq!(tool["response"]["response"]["updatedInput"], input);
        assert_eq!(tool["response"]["request_id"], "r2");
        let InputLine(tool) = InputLine::tool_verdict("r3", &input, &refused);
        assert_eq!(
            tool["response"]["response"],
            json!({"behavior": "deny", "message": "no"})
        );
    }
}
