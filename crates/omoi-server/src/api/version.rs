//! Versions of rows: what is shown names its own, and a change may name those that it is meant for.

use std::convert::Infallible;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use omoi_domain::error_code::ErrorCode;

use crate::error::ApiError;

/// What the description says of `If-Match`.
pub(super) const IF_MATCH_DESCRIPTION: &str =
    "`ETag` of the row as it was read: the change is made only while the row is still that one.";
/// The same, where a change without it is refused.
pub(super) const IF_MATCH_DEMANDED: &str =
    "`ETag` of the row as it was read, or `*`; a change without it is refused.";

/// The versions that a change is meant for, of `If-Match`; none where every one is, and whether the request says so.
pub(crate) struct MeantVersions(pub(super) Option<Vec<i64>>, bool);

impl MeantVersions {
    /// The versions that a change is meant for which has to name some; none where it is meant for whichever there is (`*`).
    ///
    /// # Errors
    /// [`ErrorCode::PreconditionRequired`].
    pub(super) fn named_versions(self) -> Result<Option<Vec<i64>>, ApiError> {
        match self.is_named() {
            true => Ok(self.0),
            false => Err(precondition_required()),
        }
    }

    /// Whether the request says which versions it is meant for, be it all of them.
    pub(super) const fn is_named(&self) -> bool {
        self.1
    }
}

impl<S: Sync> FromRequestParts<S> for MeantVersions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let is_named = parts.headers.contains_key(IF_MATCH);
        Ok(Self(meant_versions(&parts.headers), is_named))
    }
}

/// A tag of another form, or a weak one, is that of no row.
fn meant_versions(headers: &HeaderMap) -> Option<Vec<i64>> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    values.peek()?;
    let texts = values.filter_map(|value| value.to_str().ok());
    let tags: Vec<&str> = texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    if tags.contains(&"*") {
        return None;
    }
    let number = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(tags.iter().filter_map(number).collect())
}

/// A row with its version as `ETag`.
pub(crate) struct VersionedJson<T> {
    pub(super) version: i64,
    pub(super) body: T,
}

/// What an operation answers on one row.
pub(super) type VersionedAnswer<T> = Result<VersionedJson<T>, ApiError>;

impl<T: Serialize> IntoResponse for VersionedJson<T> {
    fn into_response(self) -> Response {
        with_version(Json(self.body).into_response(), self.version)
    }
}

/// The refusal of a change without the version that it is meant for.
pub(super) fn precondition_required() -> ApiError {
    let says = "this change has to say which version of the row it is meant for";
    ApiError::new(ErrorCode::PreconditionRequired, says)
        .hint("send `If-Match` with the `ETag` of the row as it was read")
}

/// The refusal of a change that was meant for another version: with the present one, and its `ETag`.
pub(super) fn stale_version<T: Serialize>(version: i64, current: &T) -> Response {
    let says = "the row was changed since it was read";
    let refusal =
        ApiError::new(ErrorCode::StaleVersion, says).with_context("current", json!(current));
    with_version(refusal.into_response(), version)
}

/// The same response, for a row of this version.
pub(super) fn with_version(mut response: Response, version: i64) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_meant_for_the_versions_that_it_names() {
        for (values, expected) in [
            (&[][..], None),
            (&["*"][..], None),
            (&["\"7\""][..], Some(vec![7])),
            (&["\"7\", \"8\"", "\"9\""][..], Some(vec![7, 8, 9])),
            (&["\"1\", *"][..], None),
            (&["W/\"7\""][..], Some(vec![])),
            (&["7"][..], Some(vec![])),
            (&["\"abc\""][..], Some(vec![])),
            (&[""][..], Some(vec![])),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            assert_eq!(meant_versions(&headers), expected, "{values:?}");
        }
    }
}
