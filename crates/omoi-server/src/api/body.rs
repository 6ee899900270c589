//! What a request says in its body and path, read strictly and refused field by field.

use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::de::Deserializer as JsonDeserializer;
use serde_path_to_error::{Path as ValuePath, Segment};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::json_shape::check_json_shape;
use omoi_runtime::clock::with_deadline;

use super::ApiSurface;
use crate::error::ApiError;

/// The media type of most bodies.
const JSON_MEDIA: &str = "application/json";
/// Bytes of one body: the longest idea, as JSON.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Values in one body.
const BODY_VALUES_MAX: usize = 50_000;

/// A body of JSON.
pub(crate) struct ApiBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<ApiSurface> for ApiBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, surface: &ApiSurface) -> Result<Self, ApiError> {
        expect_media(request.headers(), JSON_MEDIA)?;
        read_body(&read_bytes(request, surface).await?).map(Self)
    }
}

/// The body of a request as it came.
///
/// # Errors
/// [`ErrorCode::TooLarge`], [`ErrorCode::SlowRequest`].
pub(super) fn read_bytes(
    mut request: Request,
    surface: &ApiSurface,
) -> BoxFuture<'_, Result<Bytes, ApiError>> {
    let read_all = async move {
        DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
        let clock = surface.parts.clock.as_ref();
        let read = Bytes::from_request(request, surface);
        let body_time = surface.limits.body_time();
        match with_deadline(clock, body_time, read).await {
            Ok(read) => read.map_err(|refused| refuse_bytes(&refused)),
            Err(_) => {
                let says = format!("the body did not come within {} s", body_time.as_secs());
                Err(ApiError::new(ErrorCode::SlowRequest, says))
            }
        }
    };
    read_all.boxed()
}

/// Refuses a body that is said to be something else than `wanted`.
pub(super) fn expect_media(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    let told = headers
        .get(CONTENT_TYPE)
        .and_then(|told| told.to_str().ok());
    let media = told.and_then(|told| told.split(';').next());
    match media.is_some_and(|media| media.trim().eq_ignore_ascii_case(wanted)) {
        true => Ok(()),
        false => {
            let says = format!("the body is to be sent as `Content-Type: {wanted}`");
            Err(ApiError::new(ErrorCode::UnsupportedMediaType, says))
        }
    }
}

fn refuse_bytes(refused: &BytesRejection) -> ApiError {
    ApiError::unreadable(refused.status(), refused.body_text())
}

fn read_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed =
        |error: &dyn Display| ApiError::new(ErrorCode::MalformedJson, error.to_string());
    check_json_shape(bytes, BODY_VALUES_MAX).map_err(|error| malformed(&error))?;
    let mut json = JsonDeserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json);
    // Its reader would tell a text again, which may be a secret without its field.
    let is_text = bytes.trim_ascii_start().first() == Some(&b'"');
    let body = read.map_err(|error| match error.inner().is_data() {
        true if is_text => refuse_value("", "the body is to be an object"),
        true => refuse_value(&json_pointer(error.path()), &error.inner().to_string()),
        false => malformed(error.inner()),
    })?;
    json.end().map_err(|error| malformed(&error))?;
    // A list of values in the order of the fields is read as well, and nobody describes bodies so.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(refuse_value("", "the body is to be an object"));
    }
    Ok(body)
}

/// The values that the path names.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<ApiSurface> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, ApiError> {
        let read = Path::<T>::from_request_parts(parts, surface).await;
        let Path(named) = read.map_err(|refused| ApiError::invalid_value(refused.body_text()))?;
        Ok(Self(named))
    }
}

/// Refuses a text at `place` that says nothing, or more than `most` characters.
pub(super) fn expect_chars(place: &str, text: &str, most: usize) -> Result<(), ApiError> {
    match !text.trim().is_empty() && text.chars().count() <= most {
        true => Ok(()),
        false => {
            let says = format!("`{place}` has 1 to {most} characters");
            Err(ApiError::invalid_value(says).with_field(place))
        }
    }
}

/// Refuses the value at `place`, about which its reader says `says`.
pub(super) fn refuse_value(place: &str, says: &str) -> ApiError {
    // The text of serde; there is no other sign.
    let unknown = says
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'))
        .map(|(field, _)| field);
    let (code, place) = match unknown {
        Some(field) if place.is_empty() || place.starts_with('/') => {
            // The path of an unknown field ends with it, or stops before it.
            let before = place.strip_suffix(&format!("/{field}")).unwrap_or(place);
            (ErrorCode::UnknownField, format!("{before}/{field}"))
        }
        Some(field) => (ErrorCode::UnknownField, field.to_owned()),
        None => (ErrorCode::ValidationFailed, place.to_owned()),
    };
    let message = match place.is_empty() {
        true => says.to_owned(),
        false => format!("`{place}`: {says}"),
    };
    ApiError::new(code, message).with_field(place)
}

/// A place in a JSON value as a JSON pointer.
fn json_pointer(path: &ValuePath) -> String {
    let mut pointer = String::new();
    for segment in path {
        let key = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&key);
    }
    pointer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its reading is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        n: u32,
    }

    #[test]
    fn a_wrong_body_is_refused_at_the_place_where_it_is_wrong() {
        let nested = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        for (body, code, place) in [
            ("", ErrorCode::MalformedJson, None),
            ("{", ErrorCode::MalformedJson, None),
            ("{\"name\": \"a\"} x", ErrorCode::MalformedJson, None),
            (
                "{\"name\": \"a\", \"name\": \"b\"}",
                ErrorCode::MalformedJson,
                None,
            ),
            (nested.as_str(), ErrorCode::MalformedJson, None),
            ("[]", ErrorCode::ValidationFailed, Some("")),
            (" [\"a\", []]", ErrorCode::ValidationFailed, Some("")),
            ("{}", ErrorCode::ValidationFailed, Some("")),
            ("{\"name\": 1}", ErrorCode::ValidationFailed, Some("/name")),
            (
                "{\"name\": \"a\", \"inner\": [{\"n\": -1}]}",
                ErrorCode::ValidationFailed,
                Some("/inner/0/n"),
            ),
            (
                "{\"name\": \"a\", \"x\": 1}",
                ErrorCode::UnknownField,
                Some("/x"),
            ),
            (
                "{\"name\": \"a\", \"inner\": [{\"n\": 1, \"m\": 2}]}",
                ErrorCode::UnknownField,
                Some("/inner/0/m"),
            ),
        ] {
            let refused = read_body::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(refused.error_code(), code, "{body}");
            assert_eq!(refused.first_field().as_deref(), place, "{body}");
        }
        assert!(read_body::<Outer>(b" {\"name\": \"a\"} ").is_ok());
    }
}
