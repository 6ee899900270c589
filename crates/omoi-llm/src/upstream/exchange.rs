//! What every request needs: clients, keys, and the reading of refusals.

use std::sync::Arc;

use futures::StreamExt;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use omoi_domain::secret_mask::SecretMask;

use super::plain_words::plain_words;
use super::{AnswerLimits, CONNECT_MAX, UpstreamError};
use crate::pace::CallPace;
use crate::retry::retry_after;
use crate::route::{ModelRoute, ProviderKey};
use crate::window_refusal::is_window_kind;
use crate::wire::anthropic::{MessagesErrorBody, error_of_status};
use crate::wire::headers;
use crate::wire::openai::{ChatErrorBody, NO_CREDIT};

/// Most bytes of an error answer that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Adds the key of `route`, and the headers that a person says of its server.
pub(super) fn add_credentials(
    mut builder: RequestBuilder,
    route: &ModelRoute,
) -> Result<RequestBuilder, UpstreamError> {
    for (name, value) in &route.server.headers {
        builder = builder.header(name, secret_header("", value)?);
    }
    Ok(match &route.key {
        // A question that awaits a key is refused before.
        ProviderKey::None | ProviderKey::Awaited(_) => builder,
        ProviderKey::Header(key) => builder.header("x-api-key", secret_header("", key)?),
        ProviderKey::Bearer(key) => builder.header(AUTHORIZATION, secret_header("Bearer ", key)?),
    })
}

pub(super) fn base_client() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
}

/// Without proxies, which are for the world outside, and without root certificates.
pub(super) fn plain_client() -> ClientBuilder {
    base_client().no_proxy().tls_certs_only([])
}

pub(super) fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.unwrap_or_default().to_ascii_lowercase()
}

/// A header that is never printed.
fn secret_header(scheme: &str, key: &SecretString) -> Result<HeaderValue, UpstreamError> {
    let value = HeaderValue::from_str(&format!("{scheme}{}", key.expose_secret()));
    let mut value = value.map_err(|_| UpstreamError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn send_error(error: reqwest::Error) -> UpstreamError {
    let error = error.without_url();
    if error.is_builder() {
        UpstreamError::Unsendable(error)
    } else if error.is_connect() {
        UpstreamError::Connect(error)
    } else {
        UpstreamError::Broken(error)
    }
}

/// Limits and clock for reading an error body.
#[derive(Clone, Copy)]
pub(super) struct ErrorReadLimits<'a> {
    pub(super) limits: AnswerLimits,
    pub(super) pace: &'a Arc<dyn CallPace>,
}

/// A provider's text with secrets masked, on one line.
pub(super) fn masked_line(text: &str, mask: &SecretMask) -> String {
    // First the secrets: a line that is cut could hold the beginning of one.
    plain_words(&mask.mask_text(text))
}

/// Reads what the model says about its refusal; a body that cannot be read takes nothing away from the
/// status.
pub(super) async fn read_refusal(
    response: Response,
    patience: ErrorReadLimits<'_>,
    mask: &SecretMask,
) -> UpstreamError {
    let pace = patience.pace;
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER);
    let retry_after = header
        .and_then(|v| v.to_str().ok())
        .and_then(|v| retry_after(v, pace.now()));
    let should_retry = response.headers().get(headers::SHOULD_RETRY);
    let should_retry = should_retry.is_some_and(|value| value == "true");
    let body = read_error_body(response, patience).await;
    let status = match status {
        429 if says_no_credit(&body) => 402,
        status => status,
    };
    let (kind, message) = explain_error(status, &body);
    let wait_ms = retry_after.map(|wait| wait.as_millis() as u64);
    tracing::debug!(
        status,
        bytes = body.len(),
        wait_ms,
        "The model refused a request"
    );
    UpstreamError::Status {
        status,
        kind: masked_line(&kind, mask),
        message: masked_line(&message, mask),
        retry_after,
        should_retry,
    }
}

/// The beginning of a body that is no answer.
pub(super) async fn read_error_body(response: Response, patience: ErrorReadLimits<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    // Dropping either side loses only the rest of an error text.
    let read = async {
        while let Some(Ok(piece)) = pieces.next().await {
            body.extend_from_slice(&piece);
            if body.len() > ERROR_BYTES_MAX {
                break;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = patience.pace.expire(patience.limits.silence) => {}
    }
    body
}

/// Whether an error body in OpenAI's shape says that the account has no credit.
fn says_no_credit(body: &[u8]) -> bool {
    serde_json::from_slice::<ChatErrorBody>(body).is_ok_and(|ChatErrorBody { error }| {
        let code = error.code.as_ref().and_then(Value::as_str);
        [code, error.kind.as_deref()].contains(&Some(NO_CREDIT))
    })
}

/// The kind and message of an error body in either vendor's shape, or the bare text.
fn explain_error(status: u16, body: &[u8]) -> (String, String) {
    let kind = error_of_status(status).to_owned();
    let chat_error = serde_json::from_slice::<ChatErrorBody>(body).ok();
    let code = chat_error
        .as_ref()
        .and_then(|body| body.error.code.as_ref()?.as_str());
    let code = code.filter(|code| is_window_kind(code)).map(str::to_owned);
    if let Ok(MessagesErrorBody { error, .. }) = serde_json::from_slice::<MessagesErrorBody>(body) {
        return (code.unwrap_or(error.kind), error.message);
    }
    if let Some(ChatErrorBody { error }) = chat_error {
        return (code.unwrap_or(kind), error.message);
    }
    (kind, String::from_utf8_lossy(body).trim().to_owned())
}
