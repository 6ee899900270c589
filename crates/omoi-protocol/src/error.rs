//! The one shape of every refusal.

use serde::{Deserialize, Serialize};

/// Header of every answer with the id of its request, which stands on the lines of the log about it.
pub const REQUEST_ID: &str = "x-request-id";

/// Body of every answer with a status of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code, such as `superseded_attempt`.
    pub error: String,
    /// What happened and where, for people.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Id of the request, where something failed on our side: the log tells all about it under this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}
