//! The model gateway without its transport: the Anthropic surface that agents talk to.
//!
//! A request is checked, its route found, its budget asked for, and only then an upstream called.
//! Failures are tried again as long as the caller has seen nothing; after that a cut is passed on as an
//! `error` event. What an answer cost is recorded before the caller learns that it is over, and also
//! when the caller goes away: each question runs in a task of the gateway's own, so that a dropped
//! connection cannot drop the record.

mod messages;
mod reply;
mod stream_reply;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use omoi_domain::model_route::RouteName;

use crate::llm_client::LlmClient;
use crate::meter::{CallMeter, ModelCaller};
use crate::token_count;
use crate::wire::anthropic::{
    CountTokensRequest, CountTokensResponse, MessagesRequest, ModelInfo, ModelList,
};

pub(crate) use self::messages::outgoing_headers;
pub use self::reply::{GatewayReply, ReplyBody};

/// Most bytes of a request.
pub const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Most questions at once.
pub const QUESTIONS_MAX: usize = 256;

/// A request as the transport took it in.
#[derive(Clone, Debug)]
pub struct GatewayRequest {
    /// HTTP method of the request.
    pub method: Method,
    /// Its path from `/v1` on, without the query.
    pub path: String,
    /// Its headers; only `anthropic-version` and `anthropic-beta` are looked at.
    pub headers: HeaderMap,
    /// Body as it came, not yet parsed.
    pub body: Bytes,
}

/// The gateway. Clones are the same gateway.
#[derive(Clone)]
pub struct ModelGateway {
    shared: Arc<GatewayShared>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    question_slots: Arc<Semaphore>,
}

/// What every question needs.
struct GatewayShared {
    llm: LlmClient,
    meter: Arc<dyn CallMeter>,
}

impl ModelGateway {
    /// A gateway to `llm` that asks and tells `meter`.
    pub fn new(llm: LlmClient, meter: Arc<dyn CallMeter>) -> Self {
        Self {
            shared: Arc::new(GatewayShared { llm, meter }),
            tasks: Arc::default(),
            question_slots: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        }
    }

    /// Answers one request of `caller`, whose token the transport has checked.
    ///
    /// Never fails: what goes wrong is an answer in Anthropic's error shape.
    pub async fn handle_request(
        &self,
        caller: &ModelCaller,
        request: GatewayRequest,
    ) -> GatewayReply {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/messages") => match self.parse_question(&request) {
                Ok((route, body)) => {
                    self.answer_messages(caller, &request.headers, route, body)
                        .await
                }
                Err(reply) => *reply,
            },
            ("POST", "/v1/messages/count_tokens") => count_tokens(&request),
            ("GET", "/v1/models") => self.list_models(),
            // Agent programs knock before they speak.
            ("HEAD" | "GET", "/" | "/v1" | "") => GatewayReply::without_body(StatusCode::OK),
            (method, path) => {
                tracing::debug!(
                    method,
                    path,
                    "An agent asked the gateway for what it does not have"
                );
                let says =
                    format!("the model gateway has no `{method} {path}`; it has POST /v1/messages");
                reply::error_reply(StatusCode::NOT_FOUND, "not_found_error", &says)
            }
        }
    }

    /// Waits until every question is answered or abandoned, and its cost recorded.
    pub async fn drain_questions(&self) {
        loop {
            let mut tasks = std::mem::take(&mut *self.lock_tasks());
            if tasks.is_empty() {
                return;
            }
            let n_open = tasks.len();
            tracing::info!(n_open, "Waiting until model calls under way are recorded");
            while tasks.join_next().await.is_some() {}
        }
    }

    fn parse_question(
        &self,
        request: &GatewayRequest,
    ) -> Result<(RouteName, MessagesRequest), Box<GatewayReply>> {
        let body: MessagesRequest = parse_body(&request.body)?;
        let routes = &self.shared.llm.routes;
        let Some((route, _)) = routes.by_alias(&body.model) else {
            let names: Vec<&str> = RouteName::ALL.iter().map(|name| name.as_str()).collect();
            let names = names.join(", ");
            tracing::debug!(
                model = body.model,
                "An agent asked for a model that has no route"
            );
            let says = format!("no model `{}`; ask for one of: {names}", body.model);
            return Err(reply::error_reply(StatusCode::NOT_FOUND, "not_found_error", &says).into());
        };
        match request_problem(&body) {
            Some(says) => {
                tracing::debug!(says, "An agent's question makes no sense");
                Err(reply::invalid_request(says).into())
            }
            None => Ok((route, body)),
        }
    }

    fn list_models(&self) -> GatewayReply {
        let routes = &self.shared.llm.routes;
        let mut data: Vec<ModelInfo> = Vec::new();
        let all = || RouteName::ALL.iter().copied();
        let named = all().map(|n| (n.as_str(), n));
        let by_model = all().map(|n| (routes.route_named(n).model.as_str(), n));
        for (id, name) in named.chain(by_model) {
            if data.iter().all(|known| known.id != id) {
                let route = routes.route_named(name);
                let label = if route.simulated { " (simulated)" } else { "" };
                data.push(ModelInfo {
                    kind: "model".to_owned(),
                    id: id.to_owned(),
                    display_name: format!("{}{label}", route.model),
                    created_at: "1970-01-01T00:00:00Z".to_owned(),
                });
            }
        }
        let list = ModelList {
            has_more: false,
            first_id: data.first().map(|m| m.id.clone()),
            last_id: data.last().map(|m| m.id.clone()),
            data,
        };
        GatewayReply::json_body(StatusCode::OK, &list)
    }

    /// Starts `question` as a task of the gateway; what earlier tasks left is cleared away.
    fn spawn_question(&self, question: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock_tasks();
        while tasks.try_join_next().is_some() {}
        let question = async move {
            if let Err(panic) = AssertUnwindSafe(question).catch_unwind().await {
                let error = panic_text(&*panic);
                tracing::error!(error, "A model question panicked; its cost may be missing");
            }
        };
        // Below the span of the request, so that its lines say whose question it is.
        tasks.spawn(question.in_current_span());
    }

    fn lock_tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        // Nothing can panic between two changes of the set, so it is whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_tokens(request: &GatewayRequest) -> GatewayReply {
    match parse_body::<CountTokensRequest>(&request.body) {
        Ok(body) => {
            let input_tokens = token_count::estimate_count_request(&body);
            GatewayReply::json_body(StatusCode::OK, &CountTokensResponse { input_tokens })
        }
        Err(reply) => *reply,
    }
}

fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<GatewayReply>> {
    if body.len() > REQUEST_BYTES_MAX {
        let says = format!(
            "the request has {} bytes, the limit is {REQUEST_BYTES_MAX}",
            body.len()
        );
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(reply::error_reply(status, "request_too_large", &says).into());
    }
    serde_json::from_slice(body)
        .map_err(|e| reply::invalid_request(format!("the request: {e}")).into())
}

/// What is wrong with a request that is well-formed.
fn request_problem(request: &MessagesRequest) -> Option<String> {
    if request.max_tokens == 0 {
        return Some("`max_tokens` must be at least 1".to_owned());
    }
    if request.messages.is_empty() {
        return Some("`messages` must hold at least one message".to_owned());
    }
    None
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
