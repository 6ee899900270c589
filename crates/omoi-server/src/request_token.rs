//! The token that a request carries, and its comparison with ours. An attempt is found by its token in
//! `omoi_execution::intake::authenticate_worker`.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The bearer token, or the key an Anthropic client sends.
pub(crate) fn request_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| {
        headers
            .get("x-api-key")
            .and_then(|value| value.to_str().ok())
    })
}

/// Compares without telling by its time where two tokens differ.
pub(crate) fn is_same_token(a: &str, b: &str) -> bool {
    let differ = a
        .bytes()
        .zip(b.bytes())
        .fold(0_u8, |differ, (x, y)| differ | (x ^ y));
    a.len() == b.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::is_same_token;

    #[test]
    fn only_equal_tokens_are_the_same() {
        assert!(is_same_token("abc", "abc"));
        for (a, b) in [("abc", "abd"), ("abc", "ab"), ("", "a")] {
            assert!(!is_same_token(a, b), "{a} {b}");
        }
    }
}
