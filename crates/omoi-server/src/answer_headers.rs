//! Headers that every answer has, so that a browser neither guesses what it got, nor frames it, nor keeps it.

use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::Response;

/// Names and values, for answers that say nothing else of them.
const ANSWER_HEADERS: [(HeaderName, &str); 9] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "geolocation=(), microphone=(), camera=()",
    ),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-site",
    ),
    (CACHE_CONTROL, "no-store"),
    (VARY, "Authorization, Cookie, Origin"),
];

/// Adds to an answer what it does not say by itself.
pub(crate) async fn with_answer_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in ANSWER_HEADERS {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    }
    response
}
