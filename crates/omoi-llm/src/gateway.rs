//! The model gateway without its transport: what agents talk to, in the dialect that each speaks.
//!
//! A request is checked, its route found, its budget asked for, and only then an upstream called. Where
//! caller and upstream speak one dialect, request and answer pass as they came, and a reader beside them
//! meters. Failures are tried again as long as the caller has seen nothing; after that a cut is passed
//! on as an error event. What an answer cost is recorded before the caller learns that it is over, and
//! also when the caller goes away: each question runs in a task of the gateway's own, so that a dropped
//! connection cannot drop the record.

mod answer_makers;
mod asked_body;
mod caller_ask;
mod choice_failure;
mod choice_try;
mod failed_choices;
mod model_list;
mod piece_batch;
mod question;
mod refusal;
mod reply;
mod stream_reply;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use omoi_domain::id::{AttemptId, OrgId};
use omoi_domain::json_shape::check_json_shape;
use omoi_domain::secret_mask::SecretMask;

use crate::body_room::{BodyLimits, BodyRoom, BodyRooms};
use crate::brought_keys::BroughtKeyError;
use crate::llm_client::LlmClient;
use crate::meter::{CallMeter, ModelCaller};
use crate::token_count;
use crate::wire::anthropic::CountTokensResponse;
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::BadRequest;

use self::answer_makers::AnswerMakers;
pub(crate) use self::caller_ask::outgoing_headers;
pub use self::refusal::{BUDGET_KIND, GatewayRefusal, MODEL_DECLINED_KIND, SUPERSEDED_KIND};
pub use self::reply::{GatewayReply, ReplyBody};

/// Most bytes of a request.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most values in the JSON of a request: several times what fills the largest window.
const REQUEST_VALUES_MAX: usize = 500_000;
/// Most bytes that a value takes while the list that it lies in grows.
const VALUE_BYTES: usize = 2 * size_of::<Value>();
/// Most questions at once.
pub const QUESTIONS_MAX: usize = 256;
/// What the bodies of requests may fill: those of one attempt are three of the largest.
const BODY_LIMITS: BodyLimits = BodyLimits {
    attempt_kib: 96 * 1024,
    all_kib: 512 * 1024,
};

/// A request as the transport took it in.
#[derive(Clone, Debug)]
pub struct GatewayRequest {
    /// HTTP method of the request.
    pub method: Method,
    /// Its path from `/v1` on, without the query.
    pub path: String,
    /// Its headers; only the versions and switches of a vendor's API are looked at.
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
    bodies: BodyRooms,
}

/// What every question needs.
struct GatewayShared {
    llm: LlmClient,
    meter: Arc<dyn CallMeter>,
    makers: Arc<AnswerMakers>,
}

impl GatewayShared {
    /// The same for one question of `org`, which is asked with its own keys where it brought some.
    async fn for_organisation(&self, org: OrgId) -> Result<Self, BroughtKeyError> {
        Ok(Self {
            llm: self.llm.for_organisation(org).await?,
            meter: Arc::clone(&self.meter),
            makers: Arc::clone(&self.makers),
        })
    }
}

/// The dialect that a request to `path` speaks. Where the path does not tell, its headers do: the
/// vendors' clients name a version or show their key each in their own way.
pub fn caller_dialect(path: &str, headers: &HeaderMap) -> Dialect {
    match path {
        "/v1/chat/completions" => Dialect::ChatCompletions,
        "/v1/responses" => Dialect::Responses,
        path if path.starts_with("/v1/messages") => Dialect::Messages,
        _ if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") => {
            Dialect::Messages
        }
        _ => Dialect::ChatCompletions,
    }
}

impl ModelGateway {
    /// A gateway to `llm` that asks and tells `meter`.
    pub fn new(llm: LlmClient, meter: Arc<dyn CallMeter>) -> Self {
        Self {
            shared: Arc::new(GatewayShared {
                llm,
                meter,
                makers: Arc::default(),
            }),
            tasks: Arc::default(),
            question_slots: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            bodies: BodyRooms::new(BODY_LIMITS),
        }
    }

    /// What hides every key that `org` brought and that was read here, where one was.
    pub fn organisation_mask(&self, org: OrgId) -> Option<SecretMask> {
        self.shared.llm.organisation_mask(org)
    }

    /// Takes room for a body of `n_bytes` of `attempt`, none for the platform's own questions: the transport
    /// before it reads one.
    ///
    /// # Errors
    /// When other bodies of the attempt, or those of all, leave none.
    pub fn reserve_body(
        &self,
        attempt: Option<AttemptId>,
        n_bytes: usize,
    ) -> Result<BodyRoom, GatewayRefusal> {
        let room = self.bodies.reserve_room(attempt, n_bytes);
        room.map_err(|taken| GatewayRefusal::no_room(taken.to_string()))
    }

    /// Answers one request of `caller`, whose token the transport has checked.
    ///
    /// Never fails: what goes wrong is an answer in the caller's dialect.
    pub async fn handle_request(
        &self,
        caller: &ModelCaller,
        request: GatewayRequest,
    ) -> GatewayReply {
        let dialect = caller_dialect(&request.path, &request.headers);
        let answered = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/messages" | "/v1/chat/completions" | "/v1/responses") => {
                self.answer_question(caller, request, dialect).await
            }
            ("POST", "/v1/messages/count_tokens") => self.count_tokens(caller, request.body).await,
            ("GET", "/v1/models") => Ok(self.list_models(caller, dialect)),
            // Agent programs knock before they speak.
            ("HEAD" | "GET", "/" | "/v1" | "") => Ok(GatewayReply::without_body(StatusCode::OK)),
            ("GET", path) if path.starts_with("/v1/models/") => {
                let id = path.trim_start_matches("/v1/models/");
                Ok(self.show_model(caller, dialect, id))
            }
            (method, path) => Err(no_such_route(method, path)),
        };
        answered.unwrap_or_else(|refusal| refusal.into_reply(dialect))
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

/// The values in `body`.
fn count_values(body: &[u8]) -> Result<usize, GatewayRefusal> {
    let counted = check_json_shape(body, REQUEST_VALUES_MAX);
    counted.map_err(|error| bad_request(&BadRequest::BadJson(error)))
}

fn count_body(body: &[u8]) -> Result<GatewayReply, GatewayRefusal> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| bad_request(&BadRequest::BadJson(error)))?;
    if !body["messages"].is_array() {
        return Err(bad_request(&BadRequest::Field("missing field `messages`")));
    }
    let input_tokens = token_count::estimate_body(Dialect::Messages, &body);
    let count = CountTokensResponse { input_tokens };
    Ok(GatewayReply::json_body(StatusCode::OK, &count))
}

fn check_bytes(body: &[u8]) -> Result<(), GatewayRefusal> {
    if body.len() > REQUEST_BYTES_MAX {
        return Err(GatewayRefusal::too_large());
    }
    Ok(())
}

fn bad_request(bad: &BadRequest) -> GatewayRefusal {
    tracing::debug!(error = %bad, "An agent's question makes no sense");
    GatewayRefusal::invalid_request(bad.to_string())
}

fn no_such_route(method: &str, path: &str) -> GatewayRefusal {
    tracing::debug!(
        method,
        path,
        "An agent asked the gateway for what it does not have"
    );
    GatewayRefusal::no_route(format!(
        "the model gateway has no `{method} {path}`; it has POST /v1/messages, /v1/chat/completions and \
         /v1/responses"
    ))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
