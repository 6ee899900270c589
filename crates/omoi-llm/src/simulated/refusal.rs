//! Why a request is refused, and how each wire format says so.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{Dialect, respond};
use crate::{
    scenario::{NO_RULE, NoMatch},
    wire::anthropic::error_of_status,
};

/// A refused request: the reason and the place in the request.
#[derive(Debug)]
pub(super) struct RequestRefusal {
    /// Where in the body, such as `messages.2.content.0`; empty for the request as a whole.
    pub(super) at: String,
    pub(super) reason: RefusalReason,
}

impl RequestRefusal {
    pub(super) fn new(at: impl Into<String>, reason: RefusalReason) -> Self {
        Self {
            at: at.into(),
            reason,
        }
    }

    pub(super) fn http_status(&self) -> StatusCode {
        match self.reason {
            RefusalReason::NoKey => StatusCode::UNAUTHORIZED,
            RefusalReason::UnknownModel { .. } | RefusalReason::NoSuchRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            RefusalReason::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn full_message(&self) -> String {
        match self.at.as_str() {
            "" => self.reason.to_string(),
            at => format!("{at}: {}", self.reason),
        }
    }

    pub(super) fn into_response(self, wire: Dialect) -> Response {
        let status = self.http_status();
        let kind = match self.reason {
            RefusalReason::NoMatch(_) => NO_RULE,
            _ => error_of_status(status.as_u16()),
        };
        respond::json_response(status, &error_body(wire, kind, &self.full_message()))
    }
}

impl From<RefusalReason> for RequestRefusal {
    fn from(reason: RefusalReason) -> Self {
        Self::new("", reason)
    }
}

impl From<Box<NoMatch>> for RequestRefusal {
    fn from(no_match: Box<NoMatch>) -> Self {
        RefusalReason::NoMatch(no_match).into()
    }
}

/// The body of an error in the format of `wire`.
pub(super) fn error_body(wire: Dialect, kind: &str, message: &str) -> Json {
    match wire {
        Dialect::Messages => json!({
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_simulated",
        }),
        Dialect::ChatCompletions | Dialect::Responses => json!({
            "error": {"message": message, "type": kind, "param": null, "code": null},
        }),
    }
}

/// What is wrong with a request, or with the scenario's answer to it.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefusalReason {
    #[error("no API key: send `x-api-key`, or `authorization: Bearer …`")]
    NoKey,
    #[error("the header `{name}` is missing")]
    MissingHeader { name: &'static str },
    #[error("the header `{name}` must be {expected}, found `{found}`")]
    BadHeader {
        name: &'static str,
        expected: &'static str,
        found: String,
    },
    #[error(
        "the header `x-omoi-turn` says {said}, but the request holds {counted} assistant messages"
    )]
    TurnMismatch { said: u32, counted: u32 },
    #[error("the body has more than {max_bytes} bytes or was cut short")]
    TooLarge { max_bytes: usize },
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error(
        "there is no {method} {path}: this server answers POST /v1/messages, POST /v1/messages/count_tokens, POST /v1/chat/completions, POST /v1/responses and GET /v1/models"
    )]
    NoSuchRoute { method: String, path: String },
    #[error("no model `{model}`: this server has only `simulated`")]
    UnknownModel { model: String },

    #[error("is required")]
    Missing,
    #[error("must be {expected}")]
    WrongType { expected: &'static str },
    #[error("is not a known field here")]
    UnknownField,
    #[error("must be at least {min}")]
    TooSmall { min: u64 },
    #[error("must be between {min} and {max}")]
    OutOfRange { min: f64, max: f64 },
    #[error("must not be empty")]
    Empty,
    #[error("must be one of {allowed}, found `{found}`")]
    NotOneOf {
        allowed: &'static str,
        found: String,
    },
    #[error("only one of `{one}` and `{other}` may be given")]
    Both {
        one: &'static str,
        other: &'static str,
    },

    #[error("the first message must come from the user, found `{found}`")]
    FirstRole { found: String },
    #[error("the last message must not come from the assistant")]
    LastRole,
    #[error("roles must alternate: two `{role}` messages follow each other")]
    RolesAlternate { role: String },
    #[error("system messages must come first")]
    SystemNotFirst,
    #[error("a block of type `{kind}` is not allowed in a message of role `{role}`")]
    BlockNotAllowed { kind: String, role: String },

    #[error("must have 1 to {max} letters, digits, `_` or `-`")]
    BadName { max: usize },
    #[error("a tool named `{name}` is already given")]
    DuplicateTool { name: String },
    #[error("is not a usable JSON schema: {why}")]
    BadSchema { why: String },
    #[error("names the tool `{name}`, which is not among `tools`")]
    ChoiceNotOffered { name: String },
    #[error("`tools` must be given when the conversation holds tool calls")]
    ToolsMissing,

    #[error("is no seal of reasoning that this server gave with exactly this text")]
    ForeignReasoning,
    #[error("names no answer of this server: `{id}`")]
    UnknownAnswer { id: String },

    #[error("the id `{id}` names an earlier tool call")]
    DuplicateToolId { id: String },
    #[error("the tool call `{id}` has no result in the next message")]
    ToolUseUnanswered { id: String },
    #[error("the result names `{id}`, which is no tool call of the message before")]
    ToolResultOrphan { id: String },
    #[error("the tool call `{id}` already has a result")]
    ToolResultTwice { id: String },
    #[error("tool results must come before everything else in their message")]
    ToolResultNotFirst,
    #[error("arguments must be the text of a JSON object")]
    ArgumentsNotJson,
    #[error("`cache_control` may stand in at most {max} places")]
    TooManyCachePoints { max: usize },

    #[error(transparent)]
    NoMatch(Box<NoMatch>),
    #[error("rule `{rule}` submits planning items, but the request has no `x-omoi-phase` header")]
    NoPhase { rule: String },
    #[error(
        "rule `{rule}` calls the tool `{tool}`, which the request does not offer (it offers {offered})"
    )]
    ToolNotOffered {
        rule: String,
        tool: String,
        offered: String,
    },
    #[error("rule `{rule}` calls the tool `{tool}` with an input that its schema refuses: {why}")]
    InputRefused {
        rule: String,
        tool: String,
        why: String,
    },
    #[error("rule `{rule}` does not do what `tool_choice` demands: {demanded}")]
    ChoiceUnmet { rule: String, demanded: String },
    #[error("rule `{rule}` calls more than one tool, but the request forbids parallel calls")]
    ParallelForbidden { rule: String },
    #[error(
        "rule `{rule}` answers with about {tokens} tokens, but the request allows {max_tokens}"
    )]
    AnswerTooLong {
        rule: String,
        tokens: u64,
        max_tokens: u64,
    },
}
