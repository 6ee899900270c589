//! OpenAI's words for failures, and the statuses they go with.

/// The word for an account without credit. OpenAI sends it with status 429, as for calls that come too fast, but
/// waiting does not help.
pub(crate) const NO_CREDIT: &str = "insufficient_quota";

/// The status that stands for `code`.
pub(crate) fn status_of_code(code: &str) -> Option<u16> {
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map(|(_, status)| *status)
}

/// The word that is written for `status`.
pub(crate) fn code_of_status(status: u16) -> &'static str {
    let known = CODES.iter().find(|(_, known)| *known == status);
    match (known, status) {
        (Some((code, _)), _) => code,
        (None, 400..500) => "invalid_request_error",
        (None, _) => "server_error",
    }
}

/// The first word of a status is the one that is written.
const CODES: [(&str, u16); 15] = [
    ("invalid_prompt", 400),
    ("invalid_request", 400),
    ("invalid_request_error", 400),
    ("context_length_exceeded", 400),
    ("content_filter", 400),
    ("invalid_api_key", 401),
    (NO_CREDIT, 402),
    ("permission_denied", 403),
    ("model_not_found", 404),
    ("rate_limit_exceeded", 429),
    ("rate_limit_error", 429),
    ("server_error", 500),
    ("server_is_overloaded", 529),
    ("overloaded_error", 529),
    ("slow_down", 529),
];
