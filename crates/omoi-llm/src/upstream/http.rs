//! Sending the request and judging the head of the answer.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde::Serialize;

use omoi_domain::secret_mask::SecretMask;

use super::body_watch::StreamWatch;
use super::exchange::{
    ErrorReadLimits, add_credentials, base_client, content_type, masked_line, plain_client,
    read_error_body, read_refusal, send_error,
};
use super::own_request;
use super::passed_call::PassedCall;
use super::passed_reader::{self, PassedForm, PassedPiece, PassedReading};
use super::reader;
use super::translated_call::{TranslatedCall, dialect_path};
use super::translated_reader::{self, AnswerSink, CallerSink, TranslatedReading};
use super::{AnswerLimits, AnswerStream, EventStream, UpstreamError};
use crate::conversation::{AnswerForm, MessagesEvents, ToolNames, read_messages_request};
use crate::pace::CallPace;
use crate::quota::{QuotaBoard, ToldLimits};
use crate::route::ModelRoute;
use crate::wire::anthropic::{MessagesRequest, VERSION};
use crate::wire::dialect::Dialect;

/// How long a connection to a Unix socket is kept for the next call: the platform closes one that is silent for
/// a little longer.
const SOCKET_IDLE_MAX: Duration = Duration::from_secs(20);
/// Names the version of Anthropic's API.
const VERSION_HEADER: &str = "anthropic-version";
/// Type of a streamed answer.
const EVENTS: &str = "text/event-stream";
/// Type of a whole answer.
const JSON: &str = "application/json";
/// What a streamed answer is called where something else came.
const STREAM: &str = "an event stream";

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
    /// Told of limits that are used up.
    quota: QuotaBoard,
}

impl ModelConnections {
    /// Connections over TCP. What answers say about failures is told without the secrets of `mask`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(mask: SecretMask) -> Result<Self, UpstreamError> {
        Self::with_builder(plain_client(), mask)
    }

    /// These connections, which keep the secrets of `mask` too from what they send and tell.
    #[must_use]
    pub(crate) fn hiding_mask(self, mask: &SecretMask) -> Self {
        Self {
            mask: self.mask.joined_with(mask),
            ..self
        }
    }

    /// Connections that all end at the Unix socket `path`, whatever host a URL names.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn over_unix(path: &Path, mask: SecretMask) -> Result<Self, UpstreamError> {
        let client = plain_client().unix_socket(path);
        Self::with_builder(client.pool_idle_timeout(SOCKET_IDLE_MAX), mask)
    }

    fn with_builder(plain: ClientBuilder, mask: SecretMask) -> Result<Self, UpstreamError> {
        Ok(Self {
            plain_client: plain.build().map_err(UpstreamError::Unsendable)?,
            tls_client: Arc::default(),
            mask,
            quota: QuotaBoard::default(),
        })
    }

    /// These connections, with `quota` told of the limits that answers name.
    #[must_use]
    pub fn with_quota(self, quota: QuotaBoard) -> Self {
        Self { quota, ..self }
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
        if call.route.dialect != Dialect::Messages {
            let conversation =
                read_messages_request(call.request).map_err(UpstreamError::Convert)?;
            let sink = MessagesEvents::new(ToolNames::of_conversation(&conversation));
            let call = TranslatedCall {
                route: call.route,
                conversation: &conversation,
                headers: call.headers,
                user: None,
                limits,
            };
            return self.send_translated(call, sink, pace).await;
        }
        let request = self.build_request(call)?.headers(call.headers.clone());
        let patience = ErrorReadLimits { limits, pace };
        let response = self.begin_exchange(call.route, request, patience).await?;
        let content_type = content_type(response.headers());
        if !content_type.starts_with(EVENTS) {
            return Err(self
                .wrong_type(response, patience, content_type, STREAM)
                .await);
        }
        let body = response.bytes_stream().boxed();
        Ok(reader::read_events(body, self.watch(patience)))
    }

    /// Sends `call` in the words of its model; `sink` makes the pieces of the answer. Servers that never
    /// stream are understood too.
    ///
    /// # Errors
    /// As [`ModelConnections::send_call`].
    pub(crate) async fn send_translated<S: AnswerSink>(
        &self,
        call: TranslatedCall<'_>,
        sink: S,
        pace: &Arc<dyn CallPace>,
    ) -> Result<AnswerStream<S::Item>, UpstreamError> {
        let request = self.build_translated(call)?.headers(call.headers.clone());
        let limits = call.limits;
        let patience = ErrorReadLimits { limits, pace };
        let response = self.begin_exchange(call.route, request, patience).await?;
        let content_type = content_type(response.headers());
        let is_whole = content_type.starts_with(JSON);
        if !is_whole && !content_type.starts_with(EVENTS) {
            return Err(self
                .wrong_type(response, patience, content_type, STREAM)
                .await);
        }
        let reading = TranslatedReading {
            dialect: call.route.dialect,
            maker: call.route.maker_id(),
            is_whole,
            watch: self.watch(patience),
        };
        let body = response.bytes_stream().boxed();
        Ok(translated_reader::read_translated(body, reading, sink))
    }

    /// Sends `call`, whose answer has the caller's own dialect and is handed on piece by piece as it
    /// came.
    ///
    /// # Errors
    /// As [`ModelConnections::send_call`].
    pub(crate) async fn send_passed(
        &self,
        call: PassedCall<'_>,
        limits: AnswerLimits,
        pace: &Arc<dyn CallPace>,
    ) -> Result<AnswerStream<PassedPiece>, UpstreamError> {
        let request = self.build_passed(call)?.headers(call.headers.clone());
        let patience = ErrorReadLimits { limits, pace };
        let response = self.begin_exchange(call.route, request, patience).await?;
        let (form, expected, wanted) = if call.request.streams {
            let hides_usage = call.request.hides_usage();
            (PassedForm::Streamed { hides_usage }, STREAM, EVENTS)
        } else {
            (PassedForm::Whole, "JSON", JSON)
        };
        let content_type = content_type(response.headers());
        if call.request.streams && content_type.starts_with(JSON) {
            // A server that does not stream: its answer is whole, and the caller gets it as events.
            let form = AnswerForm {
                dialect: call.request.dialect,
                names: call.tool_names(),
                created_s: pace.now().as_micros() / 1_000_000,
                hides_usage: call.request.hides_usage(),
            };
            let reading = TranslatedReading {
                dialect: call.request.dialect,
                maker: call.route.maker_id(),
                is_whole: true,
                watch: self.watch(patience),
            };
            let (body, sink) = (response.bytes_stream().boxed(), CallerSink::new(form, true));
            return Ok(translated_reader::read_translated(body, reading, sink));
        }
        if !content_type.starts_with(wanted) {
            return Err(self
                .wrong_type(response, patience, content_type, expected)
                .await);
        }
        let reading = PassedReading {
            dialect: call.request.dialect,
            form,
            watch: self.watch(patience),
        };
        let body = response.bytes_stream().boxed();
        Ok(passed_reader::read_pieces(body, reading))
    }

    /// Sends a request and waits for the head of its answer, which must say that it succeeds. Limits that
    /// it tells are noted for the key of `route` or its model.
    async fn begin_exchange(
        &self,
        route: &ModelRoute,
        request: RequestBuilder,
        patience: ErrorReadLimits<'_>,
    ) -> Result<Response, UpstreamError> {
        let limit = patience.limits.first_content;
        // Both futures may be dropped at any point: the request is abandoned as a whole.
        let response = tokio::select! {
            response = request.send() => response.map_err(send_error)?,
            () = patience.pace.expire(limit) => {
                return Err(UpstreamError::Silent { limit_s: limit.as_secs() });
            }
        };
        let request_id = ["request-id", "x-request-id"]
            .iter()
            .find_map(|name| response.headers().get(*name)?.to_str().ok());
        tracing::debug!(
            status = response.status().as_u16(),
            provider_request = request_id,
            "The model answers"
        );
        let now = patience.pace.now();
        let mut told = ToldLimits::from_headers(response.headers(), &route.model, now);
        if response.status().is_success() {
            self.quota.note_answer(route, told, now);
            return Ok(response);
        }
        let mut refusal = read_refusal(response, patience, &self.mask).await;
        if let UpstreamError::Status {
            status: 429,
            retry_after,
            ..
        } = &mut refusal
        {
            told = told.asking_pause(*retry_after, now);
            *retry_after = told.open_at().map(|open_at| open_at.since(now));
        }
        self.quota.note_refusal(route, told, now).await;
        Err(refusal)
    }

    async fn wrong_type(
        &self,
        response: Response,
        patience: ErrorReadLimits<'_>,
        content_type: String,
        expected: &'static str,
    ) -> UpstreamError {
        tracing::debug!(content_type, "The answer of the model is not {expected}");
        let body = read_error_body(response, patience).await;
        let words = masked_line(&String::from_utf8_lossy(&body), &self.mask);
        UpstreamError::WrongType {
            expected,
            content_type,
            words,
        }
    }

    fn watch(&self, patience: ErrorReadLimits<'_>) -> StreamWatch {
        StreamWatch {
            limits: patience.limits,
            pace: Arc::clone(patience.pace),
            mask: self.mask.clone(),
        }
    }

    fn build_passed(&self, call: PassedCall<'_>) -> Result<RequestBuilder, UpstreamError> {
        let (route, request) = (call.route, call.request);
        let path = dialect_path(request.dialect);
        let body = call.outgoing_body();
        let accept = match request.streams {
            true => EVENTS,
            false => JSON,
        };
        let builder = self
            .post_request(&format!("{}{path}", route.base_url))?
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, accept)
            .body(self.hide_secrets(body));
        let builder = match request.dialect {
            Dialect::Messages => builder.header(VERSION_HEADER, VERSION),
            Dialect::ChatCompletions | Dialect::Responses => builder,
        };
        add_credentials(builder, route)
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
        own_request::add_role_settings(&mut request, route);
        let builder = self
            .post_request(&format!(
                "{}{}",
                route.base_url,
                dialect_path(route.dialect)
            ))?
            .header(VERSION_HEADER, VERSION)
            .header(ACCEPT, EVENTS);
        add_credentials(self.with_json(builder, &request), route)
    }

    fn build_translated(&self, call: TranslatedCall<'_>) -> Result<RequestBuilder, UpstreamError> {
        let route = call.route;
        let body = call.render_body().map_err(UpstreamError::Convert)?;
        let builder = self
            .post_request(&format!(
                "{}{}",
                route.base_url,
                dialect_path(route.dialect)
            ))?
            .header(ACCEPT, EVENTS);
        let builder = self.with_json(builder, &body);
        let builder = match route.dialect {
            Dialect::Messages => builder.header(VERSION_HEADER, VERSION),
            Dialect::ChatCompletions | Dialect::Responses => builder,
        };
        add_credentials(builder, route)
    }

    /// `builder` with a body in JSON that holds no secret of this process.
    fn with_json(&self, builder: RequestBuilder, body: &impl Serialize) -> RequestBuilder {
        match serde_json::to_vec(body) {
            Ok(text) => {
                let text = self.hide_secrets(text);
                builder.header(CONTENT_TYPE, JSON).body(text)
            }
            // The builder tells the same error.
            Err(_) => builder.json(body),
        }
    }

    /// What is sent to a model never holds a secret of this process, whoever wrote it there.
    fn hide_secrets(&self, body: Vec<u8>) -> Vec<u8> {
        let masked = std::str::from_utf8(&body).map(|text| self.mask.mask_text(text));
        match masked {
            Ok(Cow::Owned(masked)) => {
                tracing::warn!("Masked a secret of this process in a question to a model");
                masked.into_bytes()
            }
            Ok(Cow::Borrowed(_)) | Err(_) => body,
        }
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
