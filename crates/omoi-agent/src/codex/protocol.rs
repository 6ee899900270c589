//! The lines that `codex app-server` writes and reads: JSON-RPC without its version. Fields and methods
//! that are not used here are passed over; every release adds some.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One line of the program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AppServerLine {
    /// Method of a request or of news; none in an answer.
    method: Option<String>,
    /// Id of a request or of what is answered.
    id: Option<Value>,
    params: Value,
    result: Value,
    error: Option<ResponseError>,
}

/// Why a request of ours was refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseError {
    /// Words of the program.
    pub(super) message: String,
}

/// What a line is.
#[derive(Clone, Debug)]
pub(super) enum ProgramLine {
    /// The answer to a request of ours.
    Response {
        /// Id of the request.
        id: u64,
        /// The answer, or why there is none.
        result: Result<Value, ResponseError>,
    },
    /// Something it asks, by the id that the answer names.
    Request(Value, ProgramRequest),
    /// A tool begins or has ended, or words were said.
    Item(ItemNews),
    /// An answer of the model has been dealt with: its tools have run.
    RoundEnded {
        /// The turn that it belongs to.
        turn_id: String,
    },
    /// A turn has ended.
    TurnEnded(ProgramTurn),
    /// A server of tools has another state.
    ToolServerState(ToolServerState),
    /// A line of another kind.
    Other,
}

/// Something the program asks.
#[derive(Clone, Debug)]
pub(super) enum ProgramRequest {
    /// Whether a command may run.
    Command(CommandApproval),
    /// Whether files may be changed.
    FileChange {
        /// Id of the call.
        item_id: String,
    },
    /// Something that a server of tools asks.
    Elicitation {
        /// Name of the server.
        server: String,
    },
    /// Something to ask a person, who is not there.
    UserInput,
    /// Something else.
    Other,
}

/// A command that waits for a verdict.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CommandApproval {
    /// What is asked: a command, or input for one that runs.
    pub(super) kind: String,
    /// Id of the call.
    pub(super) item_id: String,
    /// The command line.
    pub(super) command: Option<String>,
}

impl CommandApproval {
    /// Whether it is input for a command that was allowed already.
    pub(super) fn is_input(&self) -> bool {
        self.kind == "writeStdin"
    }
}

/// News of an item.
#[derive(Clone, Debug)]
pub(super) struct ItemNews {
    /// Whether it has ended; else it begins.
    pub(super) is_ended: bool,
    /// The item.
    pub(super) item: ThreadItem,
}

/// A part of a turn.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum ThreadItem {
    /// A command.
    CommandExecution {
        /// Id of the call.
        id: String,
        /// State of it.
        #[serde(default)]
        status: String,
        /// What it wrote.
        #[serde(default)]
        aggregated_output: Option<String>,
        /// How it ended.
        #[serde(default)]
        exit_code: Option<i32>,
    },
    /// A patch.
    FileChange {
        /// Id of the call.
        id: String,
        /// State of it.
        #[serde(default)]
        status: String,
        /// The files.
        #[serde(default)]
        changes: Vec<FileUpdate>,
    },
    /// A call of a server's tool.
    McpToolCall {
        /// Id of the call.
        id: String,
        /// Name of the server.
        server: String,
        /// State of it.
        #[serde(default)]
        status: String,
    },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A file of a patch.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FileUpdate {
    path: String,
    #[serde(default)]
    kind: UpdateKind,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct UpdateKind {
    move_path: Option<String>,
}

impl FileUpdate {
    /// Every path that is written.
    pub(super) fn changed_paths(&self) -> impl Iterator<Item = &str> {
        let moved = self.kind.move_path.as_deref();
        std::iter::once(self.path.as_str()).chain(moved)
    }
}

/// The end of a turn.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProgramTurn {
    /// Its id.
    pub(super) id: String,
    /// `completed`, `interrupted` or `failed`.
    pub(super) status: String,
    error: Option<ResponseError>,
}

impl ProgramTurn {
    /// What went wrong, in words.
    pub(super) fn problem_text(&self) -> String {
        match &self.error {
            Some(error) => error.message.clone(),
            None => format!("it is {}", self.status),
        }
    }
}

/// State of a server of tools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolServerState {
    /// Its name.
    pub(super) name: String,
    /// `ready`, or how far it is.
    pub(super) status: String,
    /// Why it is not.
    pub(super) error: Option<String>,
}

impl AppServerLine {
    /// What the line is; one that cannot be read is of another kind.
    pub(super) fn read(self) -> ProgramLine {
        let Some(method) = self.method else {
            let id = self.id.as_ref().and_then(Value::as_u64);
            return id.map_or(ProgramLine::Other, |id| ProgramLine::Response {
                id,
                result: self.error.map_or(Ok(self.result), Err),
            });
        };
        match self.id {
            Some(id) => ProgramLine::Request(id, read_request(&method, &self.params)),
            None => read_news(&method, &self.params).unwrap_or(ProgramLine::Other),
        }
    }
}

fn read_request(method: &str, params: &Value) -> ProgramRequest {
    let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
    match method {
        "item/commandExecution/requestApproval" => {
            ProgramRequest::Command(CommandApproval::deserialize(params).unwrap_or_default())
        }
        "item/fileChange/requestApproval" => ProgramRequest::FileChange {
            item_id: text("itemId"),
        },
        "mcpServer/elicitation/request" => ProgramRequest::Elicitation {
            server: text("serverName"),
        },
        "item/tool/requestUserInput" => ProgramRequest::UserInput,
        _ => ProgramRequest::Other,
    }
}

fn read_news(method: &str, params: &Value) -> Option<ProgramLine> {
    Some(match method {
        "item/started" | "item/completed" => ProgramLine::Item(ItemNews {
            is_ended: method == "item/completed",
            item: ThreadItem::deserialize(&params["item"]).ok()?,
        }),
        "thread/tokenUsage/updated" => ProgramLine::RoundEnded {
            turn_id: params["turnId"].as_str()?.to_owned(),
        },
        "turn/completed" => ProgramLine::TurnEnded(ProgramTurn::deserialize(&params["turn"]).ok()?),
        "mcpServer/startupStatus/updated" => {
            ProgramLine::ToolServerState(ToolServerState::deserialize(params).ok()?)
        }
        _ => return None,
    })
}

/// A line to the program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AppServerInput(Value);

impl AppServerInput {
    /// A request of ours.
    pub(super) fn new_request(id: u64, method: &str, params: &Value) -> Self {
        Self(json!({"id": id, "method": method, "params": params}))
    }

    /// Says that the driver is ready.
    pub(super) fn initialized_notice() -> Self {
        Self(json!({"method": "initialized"}))
    }

    /// Lets a command or a patch run, or not.
    pub(super) fn approval_verdict(request: &Value, is_allowed: bool) -> Self {
        let decision = if is_allowed { "accept" } else { "decline" };
        Self(json!({"id": request, "result": {"decision": decision}}))
    }

    /// Answers what a server of tools asks.
    pub(super) fn elicitation_answer(request: &Value, is_allowed: bool) -> Self {
        let action = if is_allowed { "accept" } else { "decline" };
        Self(json!({"id": request, "result": {"action": action, "content": {}}}))
    }

    /// Says that nobody answers.
    pub(super) fn no_user_input(request: &Value) -> Self {
        Self(json!({"id": request, "result": {"answers": {}}}))
    }

    /// Refuses a request that the driver does not know.
    pub(super) fn unknown_request(request: &Value) -> Self {
        let message = "this driver does not know that request";
        Self(json!({"id": request, "error": {"code": -32601, "message": message}}))
    }
}

/// The version in the words by which the program names itself: `omoi/0.171.0 (Debian …) …`.
pub(super) fn version_of_agent(user_agent: &str) -> Option<&str> {
    let version = user_agent.split_once('/')?.1;
    version.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn read(line: Value) -> ProgramLine {
        serde_json::from_value::<AppServerLine>(line)
            .unwrap()
            .read()
    }

    #[test]
    fn lines_are_read_whatever_else_they_hold() {
        let ProgramLine::Response { id: 2, result } =
            read(json!({"id": 2, "result": {"thread": {"id": "t"}}}))
        else {
            panic!("an answer");
        };
        assert_eq!(result.unwrap()["thread"]["id"], "t");
        let refused = read(json!({"id": 2, "error": {"code": -1, "message": "no thread"}}));
        let ProgramLine::Response { result, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(result.unwrap_err().message, "no thread");
        let asked = read(
            json!({"method": "item/commandExecution/requestApproval", "id": 0, "params": {
            "kind": "command", "itemId": "c1", "command": "/bin/bash -lc ls", "new": 1}}),
        );
        let ProgramLine::Request(_, ProgramRequest::Command(approval)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(approval.item_id, "c1");
        assert!(!approval.is_input());
        let ended = read(json!({"method": "item/completed", "params": {"item": {
            "type": "commandExecution", "id": "c1", "status": "failed", "exitCode": 3,
            "aggregatedOutput": "x"}}}));
        let ProgramLine::Item(ItemNews {
            is_ended: true,
            item: ThreadItem::CommandExecution { exit_code, .. },
        }) = ended
        else {
            panic!("{ended:?}");
        };
        assert_eq!(exit_code, Some(3));
        for other in [
            json!({"method": "new/thing", "params": {}}),
            json!({"method": "item/started", "params": {}}),
            json!({"id": "x", "result": {}}),
            json!({}),
        ] {
            assert!(matches!(read(other), ProgramLine::Other));
        }
        let unknown = read(json!({"method": "attestation/generate", "id": 1, "params": {}}));
        assert!(matches!(
            unknown,
            ProgramLine::Request(_, ProgramRequest::Other)
        ));
    }

    #[test]
    fn a_patch_names_every_file_that_it_writes() {
        let news = read(json!({"method": "item/started", "params": {"item": {
            "type": "fileChange", "id": "p", "changes": [
                {"path": "/w/a", "kind": {"type": "add"}, "diff": ""},
                {"path": "/w/b", "kind": {"type": "update", "move_path": "/w/c"}, "diff": ""}]}}}));
        let ProgramLine::Item(ItemNews {
            item: ThreadItem::FileChange { changes, .. },
            ..
        }) = news
        else {
            panic!("{news:?}");
        };
        let paths: Vec<_> = changes.iter().flat_map(FileUpdate::changed_paths).collect();
        assert_eq!(paths, ["/w/a", "/w/b", "/w/c"]);
    }

    #[test]
    fn the_version_stands_in_its_name() {
        let words = "omoi/0.171.0 (Debian 12.0.0; x86_64) unknown (omoi; 1)";
        assert_eq!(version_of_agent(words), Some("0.171.0"));
        assert_eq!(version_of_agent("nothing"), None);
    }
}
