//! What a caller is told when there is no answer, in the dialect that it speaks.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;

use super::REQUEST_BYTES_MAX;
use super::caller_ask::event_bytes;
use super::reply::GatewayReply;
use crate::brought_keys::BroughtKeyError;
use crate::error_chain::ErrorChain;
use crate::llm_client::AskError;
use crate::meter::ReserveError;
use crate::upstream::{UpstreamError, said_words};
use crate::wire::anthropic::{
    MessagesErrorBody, SHOULD_RETRY_FIELD, StreamError, StreamEvent, error_of_status,
    status_of_error,
};
use crate::wire::dialect::Dialect;
use crate::wire::headers;
use crate::wire::sse;

/// What a person can do about a key that does not work.
const CHECK_KEY: &str = "set a valid key and start again; `omoi doctor` tries it";
/// What a person can do about an account that has nothing left to pay with.
const ADD_CREDIT: &str =
    "add credit there, or let `omoi models set` name a model of another provider";
/// What a person can do about a model that is not served any more.
const OTHER_MODEL: &str =
    "`omoi models list` shows which models are served, `omoi models set` names another";
/// When to ask again after a failure of ours that mostly passes.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// Why a caller gets no answer.
///
/// The gateway has made every retry that can help, so a caller is told not to repeat the question,
/// except where the gateway did not get to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRefusal {
    status: StatusCode,
    /// A stable word, from Anthropic's list where that has one.
    kind: String,
    message: String,
    retry_after: Option<Duration>,
    should_retry: bool,
}

impl GatewayRefusal {
    fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.to_owned(),
            message: message.into(),
            retry_after: None,
            should_retry: false,
        }
    }

    fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self.should_retry = true;
        self
    }

    /// The token belongs to no attempt.
    pub fn unknown_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "the token is missing or not valid",
        )
    }

    /// The attempt is over. Not 409, which clients repeat.
    pub fn superseded_attempt() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            SUPERSEDED_KIND,
            "this attempt was superseded: nothing that it asks or reports counts any more",
        )
    }

    /// There is no model to ask; `why` says what to set.
    pub fn no_model(why: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_error",
            format!("there is no model to ask: {why}"),
        )
    }

    /// The request is larger than may be.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            format!("the request is larger than {REQUEST_BYTES_MAX} bytes"),
        )
    }

    /// The request took too long to come.
    pub fn slow_request(limit: Duration) -> Self {
        let says = format!("the request did not come within {} s", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", says).retry_after(SHORT_WAIT)
    }

    /// The sandbox asks more often than it may.
    pub fn too_many(message: impl Into<String>, pause: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message).retry_after(pause)
    }

    /// Something failed on our side that a retry may mend.
    pub fn unavailable_now(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", message).retry_after(SHORT_WAIT)
    }

    /// Something failed on our side that stays.
    pub fn internal_failure(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message)
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub(super) fn no_route(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub(super) fn no_room(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", message)
            .retry_after(SHORT_WAIT)
    }

    /// The cost of an answer could not be recorded. A client may retry: what keeps a database from
    /// writing mostly passes.
    pub(super) fn withheld_answer() -> Self {
        Self::unavailable_now("the answer is withheld: its cost could not be recorded; ask again")
    }

    /// The budget is spent or cannot be checked, or the attempt is over.
    pub(super) fn of_budget(refusal: &ReserveError) -> Self {
        match refusal {
            ReserveError::Refused { .. } => Self::new(
                StatusCode::PAYMENT_REQUIRED,
                BUDGET_KIND,
                refusal.to_string(),
            ),
            ReserveError::Superseded => Self::superseded_attempt(),
            ReserveError::Unavailable(_) => {
                tracing::warn!(error = %ErrorChain(refusal), "Refused a question: its budget cannot be checked");
                Self::unavailable_now(refusal.to_string())
            }
        }
    }

    /// The keys of the organisation whose question it is are not known.
    pub(super) fn of_keys(error: &BroughtKeyError) -> Self {
        let refusal = match error {
            BroughtKeyError::NoModel(why) => {
                tracing::info!(why, "Refused a question: its organisation has no model");
                return Self::no_model(why);
            }
            BroughtKeyError::Unreadable(_) => Self::new(
                StatusCode::FORBIDDEN,
                "permission_error",
                ErrorChain(error).to_string(),
            ),
            BroughtKeyError::Unavailable(_) => Self::unavailable_now(error.to_string()),
        };
        tracing::warn!(error = %ErrorChain(error), "Refused a question: the keys of its organisation are not known");
        refusal
    }

    /// A question whose calls failed.
    pub(super) fn of_failure(failure: &AskError) -> Self {
        match (failure, failure.upstream_error()) {
            (AskError::CircuitOpen { retry_after, .. }, _) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let refusal = Self::new(status, "overloaded_error", failure.to_string());
                Self {
                    retry_after: Some(*retry_after),
                    ..refusal
                }
            }
            (AskError::Limited { retry_after, .. }, _) => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let refusal = Self::new(status, "rate_limit_error", failure.to_string());
                Self {
                    retry_after: Some(*retry_after),
                    ..refusal
                }
            }
            (AskError::OverBudget(refusal), _) => Self::of_budget(refusal),
            (AskError::Keys(error), _) => Self::of_keys(error),
            // Asked again, it is asked with the keys of then.
            (AskError::KeysChanged, _) => Self::unavailable_now(failure.to_string()),
            (AskError::Reserved { .. } | AskError::NoKey { .. }, _) => Self::new(
                StatusCode::FORBIDDEN,
                "permission_error",
                failure.to_string(),
            ),
            (_, Some(upstream)) => Self::of_upstream(upstream),
            (_, None) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout_error",
                failure.to_string(),
            ),
        }
    }

    /// An upstream failure in the caller's terms.
    pub(super) fn of_upstream(error: &UpstreamError) -> Self {
        let (status, kind, message) = match error {
            // The caller's own token is fine; it is the platform's key that the provider refuses.
            UpstreamError::Status {
                status: status @ (401 | 403),
                message,
                ..
            } => (
                403,
                "permission_error",
                format!(
                    "the provider refused the platform's key with status {status}: {message}; {CHECK_KEY}"
                ),
            ),
            // Status 402 is the caller's word for a budget of ours.
            UpstreamError::Status {
                status: 402,
                message,
                ..
            } => (
                403,
                "permission_error",
                format!(
                    "the platform's account at the provider has no credit left: {message}; {ADD_CREDIT}"
                ),
            ),
            UpstreamError::Status {
                status: status @ (404 | 410),
                kind,
                message,
                ..
            } => (*status, kind.as_str(), format!("{message}; {OTHER_MODEL}")),
            UpstreamError::BadKey => (403, "permission_error", format!("{error}; {CHECK_KEY}")),
            UpstreamError::Declined { .. } => (400, MODEL_DECLINED_KIND, error.to_string()),
            UpstreamError::Status {
                status,
                kind,
                message,
                ..
            } => (*status, kind.as_str(), message.clone()),
            UpstreamError::Silent { .. }
            | UpstreamError::NoContent { .. }
            | UpstreamError::TooLong { .. } => (504, "timeout_error", error.to_string()),
            UpstreamError::Convert(source) => {
                (400, "invalid_request_error", format!("{error}: {source}"))
            }
            UpstreamError::Malformed(source) => {
                (502, "api_error", format!("{error}: {}", ErrorChain(source)))
            }
            UpstreamError::Connect(_)
            | UpstreamError::Broken(_)
            | UpstreamError::Cut
            | UpstreamError::TooLarge { .. }
            | UpstreamError::WrongType { .. }
            | UpstreamError::Unsendable(_) => (502, "api_error", error.to_string()),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let kind = match kind {
            "" => error_of_status(status.as_u16()),
            kind => kind,
        };
        Self {
            retry_after: match error {
                UpstreamError::Status { retry_after, .. } => *retry_after,
                _ => None,
            },
            ..Self::new(status, kind, message)
        }
    }

    /// `model`, which is asked by `route`, declines what it is asked, with `words`; no other one is left.
    pub(super) fn model_declined(model: &str, route: RouteName, words: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            MODEL_DECLINED_KIND,
            format!(
                "`{model}` declined to answer{}; word the task otherwise, or name another model after it: \
                 omoi models set {route} {model} OTHER",
                said_words(words)
            ),
        )
    }

    /// `model` declines after the caller saw the beginning of its answer; `next` is asked when the question comes
    /// again.
    pub(super) fn declined_midway(model: &str, next: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api_error",
            format!(
                "`{model}` declined after it had begun to answer; asked again, `{next}` answers"
            ),
        )
    }

    /// Whether something in the request itself was refused.
    pub(super) fn is_bad_request(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 422)
    }

    /// What is refused and why, in words.
    pub(super) fn plain_message(&self) -> &str {
        &self.message
    }

    /// The refusal as the head and body of an answer.
    pub fn into_reply(self, dialect: Dialect) -> GatewayReply {
        let mut reply = match dialect {
            Dialect::Messages => {
                let body = MessagesErrorBody::new(&self.kind, &self.message);
                GatewayReply::json_body(self.status, &body)
            }
            Dialect::ChatCompletions | Dialect::Responses => {
                GatewayReply::json_body(self.status, &json!({"error": self.openai_error()}))
            }
        };
        let retries = match self.should_retry {
            true => "true",
            false => "false",
        };
        let told = &mut reply.headers;
        told.insert(headers::SHOULD_RETRY, HeaderValue::from_static(retries));
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            told.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }

    /// The refusal as an event of an answer whose head is sent.
    pub(super) fn into_event(self, dialect: Dialect) -> Bytes {
        match dialect {
            Dialect::Messages => {
                let body = MessagesErrorBody::new(self.telling_kind(), &self.message);
                let MessagesErrorBody {
                    error, mut extra, ..
                } = body;
                // What the head would have said.
                if self.should_retry {
                    extra.insert(SHOULD_RETRY_FIELD.to_owned(), true.into());
                }
                event_bytes(&StreamEvent::Error(StreamError { error, extra }))
            }
            Dialect::ChatCompletions => {
                let data = json!({"error": self.openai_error()});
                sse::encode_frame(None, &data.to_string()).into()
            }
            Dialect::Responses => {
                let error = json!({"code": self.openai_code(), "message": self.message});
                let kind = "response.failed";
                let data = json!({"type": kind, "sequence_number": 0, "response": {
                    "id": "resp_failed", "object": "response", "created_at": 0, "model": "",
                    "status": "failed", "error": error, "output": []}});
                sse::encode_frame(Some(kind), &data.to_string()).into()
            }
        }
    }

    /// The kind, or where it does not tell the status, the one that does.
    fn telling_kind(&self) -> &str {
        let status = self.status.as_u16();
        match status_of_error(&self.kind) == Some(status) || self.kind == OVERLOADED_KIND {
            true => &self.kind,
            false => error_of_status(status),
        }
    }

    fn openai_error(&self) -> Value {
        let kind = match self.status.as_u16() {
            402 | 429 => "insufficient_quota",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            _ => kind,
        };
        json!({"message": self.message, "type": kind, "param": null, "code": self.openai_code()})
    }

    /// The word of OpenAI's for Anthropic's; other words stay as they are.
    fn openai_code(&self) -> &str {
        match self.kind.as_str() {
            "authentication_error" => "invalid_api_key",
            "permission_error" => "permission_denied",
            "rate_limit_error" => "rate_limit_exceeded",
            "billing_error" => "insufficient_quota",
            "not_found_error" => "not_found",
            "api_error" | "timeout_error" => "server_error",
            OVERLOADED_KIND => "server_is_overloaded",
            "invalid_request_error" => "invalid_request",
            kind => kind,
        }
    }
}

/// Kind of the refusal of an attempt that is over.
pub const SUPERSEDED_KIND: &str = "superseded_attempt";
/// Kind of the refusal of a question that a budget has no room for.
pub const BUDGET_KIND: &str = "budget_exhausted";
/// Kind of the refusal of a question that its model declines.
pub const MODEL_DECLINED_KIND: &str = "model_declined";
/// Kind of a refusal for want of room, ours or a provider's.
const OVERLOADED_KIND: &str = "overloaded_error";
