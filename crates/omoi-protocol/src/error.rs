//! The one shape of every refusal.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use omoi_domain::access::permission::Permission;
use omoi_domain::error_code::ErrorCode;

/// Header of every answer with the id of its request, which stands on the lines of the log about it.
pub const REQUEST_ID: &str = "x-request-id";

/// Longest id that a caller may give its request.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Body of every answer with a status of 400 or above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Stable code, such as `superseded_attempt`: one of [`ErrorCode`], or of a newer version.
    pub error: String,
    /// What happened and where, for people.
    pub message: String,
    /// The message again, under the name that older clients read.
    #[serde(default)]
    pub detail: String,
    /// Id of the request: the log tells about it under this id.
    #[serde(default)]
    pub request_id: String,
    /// Which values of the request are wrong, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// The permission that the caller lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Seconds to wait before the next request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What a program needs to go on, such as the rows that were meant; its keys depend on the code.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
}

/// A value of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is, as a JSON pointer: `/tasks/0/title`; of a query, its parameter.
    pub path: String,
    /// The code of this problem.
    pub code: ErrorCode,
    /// What is wrong with it.
    pub message: String,
}

impl ErrorBody {
    /// A refusal of a request that has no id yet.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error: code.as_str().to_owned(),
            detail: message.clone(),
            message,
            request_id: String::new(),
            fields: Vec::new(),
            permission: None,
            retry_after: None,
            hint: None,
            context: Map::new(),
        }
    }

    /// Whether the refusal has `code`.
    pub fn has_code(&self, code: ErrorCode) -> bool {
        self.error == code.as_str()
    }
}

/// Whether a caller may give its request this id: it stands on lines of the log.
pub fn is_request_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= REQUEST_ID_CHARS_MAX && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::is_request_id;

    #[test]
    fn an_id_of_a_request_cannot_forge_a_line_of_the_log() {
        for (text, expected) in [
            ("a", true),
            ("018f.trace_7-b", true),
            ("", false),
            ("a b", false),
            ("a\nlevel=ERROR", false),
            ("é", false),
        ] {
            assert_eq!(is_request_id(text), expected, "{text:?}");
        }
        assert!(is_request_id(&"a".repeat(64)) && !is_request_id(&"a".repeat(65)));
    }
}
