//! Errors, and the statuses they go with.

use serde::{Deserialize, Serialize};

use crate::wire::Extra;

/// Field of an error within a stream of ours that stands for the header of the same name.
pub const SHOULD_RETRY_FIELD: &str = "should_retry";

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessagesErrorBody {
    /// Constant tag, always `error`.
    #[serde(rename = "type", default)]
    pub kind: ErrorTag,
    /// Kind and message of the failure.
    pub error: ErrorDetail,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessagesErrorBody {
    /// An error of `kind` with a message for people.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: ErrorTag::Error,
            error: ErrorDetail {
                kind: kind.into(),
                message: message.into(),
                extra: Extra::new(),
            },
            extra: Extra::new(),
        }
    }
}

/// The constant `"error"` in the field `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorTag {
    /// The only value of the tag.
    #[default]
    Error,
}

/// Kind and message of a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable word such as `overloaded_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Message for people to read.
    pub message: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The status that stands for error kind `kind`, as the vendor's table pairs them.
///
/// A stream reports a failure inside a 200 answer; this gives back the status it would have had.
pub fn status_of_error(kind: &str) -> Option<u16> {
    ERRORS.iter().find(|(_, k)| *k == kind).map(|(s, _)| *s)
}

/// The error kind that goes with `status`.
pub fn error_of_status(status: u16) -> &'static str {
    let exact = ERRORS.iter().find(|(s, _)| *s == status).map(|(_, k)| *k);
    match status {
        _ if exact.is_some() => exact.unwrap_or_default(),
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

const ERRORS: [(u16, &str); 13] = [
    (400, "invalid_request_error"),
    // Ours, for a model that declines what it is asked.
    (400, "model_declined"),
    (401, "authentication_error"),
    (402, "billing_error"),
    // Ours, for a budget that has no room for the question.
    (402, "budget_exhausted"),
    (403, "permission_error"),
    // Ours, for an attempt that is over.
    (403, "superseded_attempt"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];
