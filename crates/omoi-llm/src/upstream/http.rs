//! Sending the request and judging the head of the answer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};

use omoi_domain::secret_mask::SecretMask;

use super::plain_words::plain_words;
use super::reader::{self, AnswerFormat};
use super::{AnswerLimits, CONNECT_MAX, EventStream, UpstreamError};
use crate::pace::CallPace;
use crate::retry::retry_after;
use crate::route::{ModelRoute, OPENAI_BASE_URL, ProviderKey};
use crate::wire::anthropic::{MessagesErrorBody, MessagesRequest, VERSION, error_of_status};
use crate::wire::convert::{ConvertError, MaxTokensField, to_chat};
use crate::wire::dialect::Dialect;
use crate::wire::openai::ChatErrorBody;

/// Most bytes of an error answer that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// One request on its way to one model.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamCall<'a> {
    /// Route that names the server, model and key.
    pub route: &'a ModelRoute,
    /// Request to send; its `model` and `stream` are replaced, its `max_tokens` is cut to the route's.
    pub request: &'a MessagesRequest,
    /// Headers beside the ones the provider demands.
    pub headers: &'a HeaderMap,
}

/// The connections to models. Clones share them.
#[derive(Clone, Debug)]
pub struct ModelConnections {
    plain_client: Client,
    // Made at the first `https` call: it reads the system's root certificates, which a machine that
    // only talks to local models need not have.
    tls_client: Arc<Mutex<Option<Client>>>,
    mask: SecretMask,
}

impl ModelConnections {
    /// Connections over TCP. What answers say about failures is told without the secrets of `mask`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(mask: SecretMask) -> Result<Self, UpstreamError> {
        Self::with_builder(plain_client(), mask)
    }

    /// Connections that all end at the Unix socket `path`, whatever host a URL names.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn over_unix(path: &Path, mask: SecretMask) -> Result<Self, UpstreamError> {
        Self::with_builder(plain_client().unix_socket(path), mask)
    }

    fn with_builder(plain: ClientBuilder, mask: SecretMask) -> Result<Self, UpstreamError> {
        Ok(Self {
            plain_client: plain.build().map_err(UpstreamError::Unsendable)?,
            tls_client: Arc::default(),
            mask,
        })
    }

    /// Sends `call` and judges the head of the answer; the events follow.
    ///
    /// # Errors
    /// Returns [`UpstreamError`] when there is no answer, or none with status 200.
    pub async fn send_call(
        &self,
        call: UpstreamCall<'_>,
        limits: AnswerLimits,
        pace: &Arc<dyn CallPace>,
    ) -> Result<EventStream, UpstreamError> {
        let request = self.build_request(call)?.headers(call.headers.clone());
        // Both futures may be dropped at any point: the request is abandoned as a whole.
        let response = tokio::select! {
            response = request.send() => response.map_err(send_error)?,
            () = pace.expire(limits.first_content) => {
                return Err(UpstreamError::Silent { limit_s: limits.first_content.as_secs() });
            }
        };
        let patience = ErrorReadLimits { limits, pace };
        if !response.status().is_success() {
            return Err(read_refusal(response, patience, &self.mask).await);
        }
        let source = match answer_format(call.route.dialect, response.headers()) {
            Ok(source) => source,
            Err(content_type) => {
                tracing::debug!(content_type, "The answer of the model is no stream");
                let body = read_error_body(response, patience).await;
                let words = masked_line(&String::from_utf8_lossy(&body), &self.mask);
                return Err(UpstreamError::NotAStream {
                    content_type,
                    words,
                });
            }
        };
        let body = response.bytes_stream().boxed();
        Ok(reader::read_events(
            body,
            source,
            reader::StreamWatch {
                limits,
                pace: Arc::clone(pace),
                mask: self.mask.clone(),
            },
        ))
    }

    fn build_request(&self, call: UpstreamCall<'_>) -> Result<RequestBuilder, UpstreamError> {
        let route = call.route;
        let mut request = call.request.clone();
        request.model.clone_from(&route.model);
        request.max_tokens = request.max_tokens.min(route.max_tokens);
        request.stream = true;
        request.fold_system_messages();
        if !route.takes_sampling {
            (request.temperature, request.top_p, request.top_k) = (None, None, None);
        }
        let builder = match route.dialect {
            Dialect::Messages => self
                .post_request(&format!("{}/v1/messages", route.base_url))?
                .header("anthropic-version", VERSION)
                .json(&request),
            Dialect::ChatCompletions => {
                let field = match route.base_url.as_str() {
                    OPENAI_BASE_URL => MaxTokensField::MaxCompletionTokens,
                    _ => MaxTokensField::MaxTokens,
                };
                let request = to_chat(&request, field).map_err(UpstreamError::Convert)?;
                self.post_request(&format!("{}/chat/completions", route.base_url))?
                    .json(&request)
            }
            to @ Dialect::Responses => {
                let from = Dialect::Messages;
                return Err(UpstreamError::Convert(ConvertError::Dialects { from, to }));
            }
        };
        let builder = builder.header(ACCEPT, "text/event-stream");
        Ok(match &route.key {
            ProviderKey::None => builder,
            ProviderKey::Header(key) => builder.header("x-api-key", secret_header("", key)?),
            ProviderKey::Bearer(key) => {
                builder.header(AUTHORIZATION, secret_header("Bearer ", key)?)
            }
        })
    }

    fn post_request(&self, url: &str) -> Result<RequestBuilder, UpstreamError> {
        if !url.starts_with("https:") {
            return Ok(self.plain_client.post(url));
        }
        let mut tls = self
            .tls_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let client = match &*tls {
            Some(client) => client,
            None => tls.insert(base_client().build().map_err(UpstreamError::Unsendable)?),
        };
        Ok(client.post(url))
    }
}

fn base_client() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
}

/// Without proxies, which are for the world outside, and without root certificates.
fn plain_client() -> ClientBuilder {
    base_client().no_proxy().tls_certs_only([])
}

/// What the body will be, or its type where it is no answer. Some OpenAI-compatible servers never
/// stream.
fn answer_format(dialect: Dialect, headers: &HeaderMap) -> Result<AnswerFormat, String> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    match dialect {
        Dialect::Messages if kind.starts_with("text/event-stream") => Ok(AnswerFormat::Anthropic),
        Dialect::ChatCompletions if kind.starts_with("text/event-stream") => {
            Ok(AnswerFormat::Openai(Box::default()))
        }
        Dialect::ChatCompletions if kind.starts_with("application/json") => {
            Ok(AnswerFormat::WholeOpenai(Vec::new()))
        }
        _ => Err(kind),
    }
}

/// A header that is never printed.
fn secret_header(scheme: &str, key: &SecretString) -> Result<HeaderValue, UpstreamError> {
    let value = HeaderValue::from_str(&format!("{scheme}{}", key.expose_secret()));
    let mut value = value.map_err(|_| UpstreamError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn send_error(error: reqwest::Error) -> UpstreamError {
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
struct ErrorReadLimits<'a> {
    limits: AnswerLimits,
    pace: &'a Arc<dyn CallPace>,
}

/// A provider's text with secrets masked, on one line.
pub(super) fn masked_line(text: &str, mask: &SecretMask) -> String {
    // First the secrets: a line that is cut could hold the beginning of one.
    plain_words(&mask.mask_text(text))
}

/// Reads what the model says about its refusal; a body that cannot be read takes nothing away from the
/// status.
async fn read_refusal(
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
    let body = read_error_body(response, patience).await;
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
    }
}

/// The beginning of a body that is no answer.
async fn read_error_body(response: Response, patience: ErrorReadLimits<'_>) -> Vec<u8> {
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

/// The kind and message of an error body in either vendor's shape, or the bare text.
fn explain_error(status: u16, body: &[u8]) -> (String, String) {
    let kind = error_of_status(status).to_owned();
    if let Ok(MessagesErrorBody { error, .. }) = serde_json::from_slice::<MessagesErrorBody>(body) {
        return (error.kind, error.message);
    }
    if let Ok(ChatErrorBody { error }) = serde_json::from_slice::<ChatErrorBody>(body) {
        return (kind, error.message);
    }
    (kind, String::from_utf8_lossy(body).trim().to_owned())
}
