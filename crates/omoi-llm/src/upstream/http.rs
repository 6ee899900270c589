//! Sending the request and judging the head of the answer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use omoi_domain::secret_mask::SecretMask;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};

use super::reader::{self, Source};
use super::words::plain_words;
use super::{CONNECT_MAX, EventStream, Limits, UpstreamError};
use crate::pace::Pace;
use crate::retry::retry_after;
use crate::route::{Key, OPENAI_BASE_URL, Provider, Route};
use crate::wire::anthropic::{ErrorBody, MessagesRequest, VERSION, error_of_status};
use crate::wire::convert::{MaxTokensField, to_chat};
use crate::wire::openai::ChatErrorBody;

/// Most bytes of an error answer that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// One request on its way to one model.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Where to.
    pub route: &'a Route,
    /// What; its `model` and `stream` are replaced, its `max_tokens` is cut to the route's.
    pub request: &'a MessagesRequest,
    /// Headers beside the ones the provider demands.
    pub headers: &'a HeaderMap,
}

/// The connections to models. Clones share them.
#[derive(Clone, Debug)]
pub struct Http {
    plain: Client,
    // Made at the first `https` call: it reads the system's root certificates, which a machine that
    // only talks to local models need not have.
    tls: Arc<Mutex<Option<Client>>>,
    mask: SecretMask,
}

impl Http {
    /// Connections over TCP. What answers say about failures is told without the secrets of `mask`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(mask: SecretMask) -> Result<Self, UpstreamError> {
        Self::from(plain(), mask)
    }

    /// Connections that all end at the Unix socket `path`, whatever host a URL names.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn over_unix(path: &Path, mask: SecretMask) -> Result<Self, UpstreamError> {
        Self::from(plain().unix_socket(path), mask)
    }

    fn from(plain: ClientBuilder, mask: SecretMask) -> Result<Self, UpstreamError> {
        Ok(Self {
            plain: plain.build().map_err(UpstreamError::Unsendable)?,
            tls: Arc::default(),
            mask,
        })
    }

    /// Sends `call` and judges the head of the answer; the events follow.
    ///
    /// # Errors
    /// Returns [`UpstreamError`] when there is no answer, or none with status 200.
    pub async fn send(
        &self,
        call: Call<'_>,
        limits: Limits,
        pace: &Arc<dyn Pace>,
    ) -> Result<EventStream, UpstreamError> {
        let request = self.request(call)?.headers(call.headers.clone());
        // Both futures may be dropped at any point: the request is abandoned as a whole.
        let response = tokio::select! {
            response = request.send() => response.map_err(while_sending)?,
            () = pace.expire(limits.first_content) => {
                return Err(UpstreamError::Silent { limit_s: limits.first_content.as_secs() });
            }
        };
        let patience = Patience { limits, pace };
        if !response.status().is_success() {
            return Err(refusal(response, patience, &self.mask).await);
        }
        let source = match source(call.route.provider, response.headers()) {
            Ok(source) => source,
            Err(content_type) => {
                let body = error_body(response, patience).await;
                let words = said(&String::from_utf8_lossy(&body), &self.mask);
                return Err(UpstreamError::NotAStream {
                    content_type,
                    words,
                });
            }
        };
        let body = response.bytes_stream().boxed();
        Ok(reader::events(
            body,
            source,
            reader::Watch {
                limits,
                pace: Arc::clone(pace),
                mask: self.mask.clone(),
            },
        ))
    }

    fn request(&self, call: Call<'_>) -> Result<RequestBuilder, UpstreamError> {
        let route = call.route;
        let mut request = call.request.clone();
        request.model.clone_from(&route.model);
        request.max_tokens = request.max_tokens.min(route.max_tokens);
        request.stream = true;
        request.fold_system_messages();
        if !route.takes_sampling {
            (request.temperature, request.top_p, request.top_k) = (None, None, None);
        }
        let builder = match route.provider {
            Provider::Anthropic => self
                .post(&format!("{}/v1/messages", route.base_url))?
                .header("anthropic-version", VERSION)
                .json(&request),
            Provider::Openai => {
                let field = match route.base_url.as_str() {
                    OPENAI_BASE_URL => MaxTokensField::MaxCompletionTokens,
                    _ => MaxTokensField::MaxTokens,
                };
                let request = to_chat(&request, field).map_err(UpstreamError::Convert)?;
                self.post(&format!("{}/chat/completions", route.base_url))?
                    .json(&request)
            }
        };
        let builder = builder.header(ACCEPT, "text/event-stream");
        Ok(match &route.key {
            Key::None => builder,
            Key::Header(key) => builder.header("x-api-key", secret("", key)?),
            Key::Bearer(key) => builder.header(AUTHORIZATION, secret("Bearer ", key)?),
        })
    }

    fn post(&self, url: &str) -> Result<RequestBuilder, UpstreamError> {
        if !url.starts_with("https:") {
            return Ok(self.plain.post(url));
        }
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &*tls {
            Some(client) => client,
            None => tls.insert(base().build().map_err(UpstreamError::Unsendable)?),
        };
        Ok(client.post(url))
    }
}

fn base() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
}

/// Without proxies, which are for the world outside, and without root certificates.
fn plain() -> ClientBuilder {
    base().no_proxy().tls_certs_only([])
}

/// What the body will be, or its type where it is no answer. Some OpenAI-compatible servers never
/// stream.
fn source(provider: Provider, headers: &HeaderMap) -> Result<Source, String> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    match provider {
        Provider::Anthropic if kind.starts_with("text/event-stream") => Ok(Source::Anthropic),
        Provider::Openai if kind.starts_with("text/event-stream") => {
            Ok(Source::Openai(Box::default()))
        }
        Provider::Openai if kind.starts_with("application/json") => {
            Ok(Source::WholeOpenai(Vec::new()))
        }
        _ => Err(kind),
    }
}

/// A header that is never printed.
fn secret(scheme: &str, key: &SecretString) -> Result<HeaderValue, UpstreamError> {
    let value = HeaderValue::from_str(&format!("{scheme}{}", key.expose_secret()));
    let mut value = value.map_err(|_| UpstreamError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn while_sending(error: reqwest::Error) -> UpstreamError {
    let error = error.without_url();
    if error.is_builder() {
        UpstreamError::Unsendable(error)
    } else if error.is_connect() {
        UpstreamError::Connect(error)
    } else {
        UpstreamError::Broken(error)
    }
}

/// How long an error text may take, and by which clock.
#[derive(Clone, Copy)]
struct Patience<'a> {
    limits: Limits,
    pace: &'a Arc<dyn Pace>,
}

/// What somebody says, without secrets, as one line.
pub(super) fn said(text: &str, mask: &SecretMask) -> String {
    // First the secrets: a line that is cut could hold the beginning of one.
    plain_words(&mask.mask(text))
}

/// Reads what the model says about its refusal; a body that cannot be read takes nothing away from the
/// status.
async fn refusal(response: Response, patience: Patience<'_>, mask: &SecretMask) -> UpstreamError {
    let pace = patience.pace;
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER);
    let retry_after = header
        .and_then(|v| v.to_str().ok())
        .and_then(|v| retry_after(v, pace.now()));
    let body = error_body(response, patience).await;
    let (kind, message) = explanation(status, &body);
    UpstreamError::Status {
        status,
        kind: said(&kind, mask),
        message: said(&message, mask),
        retry_after,
    }
}

/// The beginning of a body that is no answer.
async fn error_body(response: Response, patience: Patience<'_>) -> Vec<u8> {
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
fn explanation(status: u16, body: &[u8]) -> (String, String) {
    let kind = error_of_status(status).to_owned();
    if let Ok(ErrorBody { error, .. }) = serde_json::from_slice::<ErrorBody>(body) {
        return (error.kind, error.message);
    }
    if let Ok(ChatErrorBody { error }) = serde_json::from_slice::<ChatErrorBody>(body) {
        return (kind, error.message);
    }
    (kind, String::from_utf8_lossy(body).trim().to_owned())
}
