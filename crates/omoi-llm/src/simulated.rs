//! The simulated model: a local server that answers three wire formats from a scenario.
//!
//! It stands where a provider would stand, so everything between an agent and the network is really
//! exercised: requests of our own clients are checked more strictly than a provider does, answers are streamed in pieces
//! cut anywhere, and faults happen where the scenario says. What other clients send beyond the known is
//! recorded and let through. It keeps nothing but a count of faults per
//! rule. Every answer carries the header [`SIMULATED`].

mod absolute_path;
mod answer;
mod cache_figures;
mod chat_answer;
mod chat_request;
mod checked_request;
mod foreign_request;
mod limit_headers;
mod located_value;
mod messages_answer;
mod messages_request;
mod patch_text;
mod planned_response;
mod reasoning_seal;
mod receive;
mod recorder;
mod refusal;
mod respond;
mod responses_answer;
mod responses_request;
mod schema;
mod shell_line;
mod side_answer;
mod tool_table;
mod wire_output;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{Path, Request, State},
    response::Response,
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode};
use omoi_domain::time::Timestamp;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use self::{
    planned_response::PlannedResponse,
    refusal::{RefusalReason, RequestRefusal},
};
pub use self::{
    recorder::{RecordedRequest, RequestOutcome, RequestRecorder},
    respond::SIMULATED,
};
use crate::{
    scenario::{FaultKind, FaultTimes, Scenario, ScenarioRule},
    wire::dialect::Dialect,
};

/// The one model this server has.
pub const MODEL: &str = "simulated";

/// Tells the time, from which the ends of limits are counted.
pub type SimulatedClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A scenario ready to be served, with its fault counts.
#[derive(Clone, Debug)]
pub struct SimulatedModel {
    shared: Arc<SimulatedShared>,
}

struct SimulatedShared {
    scenario: Scenario,
    /// How often each rule was asked, up to the point where its faults are over.
    ask_counts: Vec<AtomicU64>,
    recorder: Option<RequestRecorder>,
    clock: Option<SimulatedClock>,
}

impl fmt::Debug for SimulatedShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedShared")
            .field("scenario", &self.scenario.name)
            .finish_non_exhaustive()
    }
}

impl SimulatedModel {
    /// Serves `scenario` with all faults still to come; requests go to `recorder` too.
    pub fn new(scenario: Scenario, recorder: Option<RequestRecorder>) -> Self {
        Self::with_parts(scenario, recorder, None)
    }

    /// The same with a clock: instants at which limits end are told by it, and without one from the
    /// beginning of 1970.
    pub fn with_clock(scenario: Scenario, clock: SimulatedClock) -> Self {
        Self::with_parts(scenario, None, Some(clock))
    }

    fn with_parts(
        scenario: Scenario,
        recorder: Option<RequestRecorder>,
        clock: Option<SimulatedClock>,
    ) -> Self {
        let ask_counts = scenario.rules.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            shared: Arc::new(SimulatedShared {
                scenario,
                ask_counts,
                recorder,
                clock,
            }),
        }
    }

    /// The routes, to be served by whoever has a listener.
    pub fn build_router(&self) -> Router {
        let messages = |state, request| answer_request(Dialect::Messages, state, request);
        let chat = |state, request| answer_request(Dialect::ChatCompletions, state, request);
        let responses = |state, request| answer_request(Dialect::Responses, state, request);
        Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/responses", post(responses))
            .route("/v1/models", get(list_models))
            .route("/v1/models/{id}", get(show_model))
            .method_not_allowed_fallback(no_such_route)
            .fallback(no_such_route)
            .with_state(Arc::clone(&self.shared))
    }
}

/// Serves until `stop` completes and the answers under way are sent.
///
/// # Errors
/// Gives the listener's error.
pub async fn serve_scenario(
    listener: TcpListener,
    simulated: &SimulatedModel,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, simulated.build_router())
        .with_graceful_shutdown(stop)
        .await
}

async fn no_such_route(method: Method, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let wire = wire_of(request.headers());
    RequestRefusal::from(RefusalReason::NoSuchRoute {
        method: method.to_string(),
        path,
    })
    .into_response(wire)
}

/// The format in which to answer where the path does not say.
fn wire_of(headers: &HeaderMap) -> Dialect {
    let is_anthropic =
        headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
    if is_anthropic {
        Dialect::Messages
    } else {
        Dialect::ChatCompletions
    }
}

fn model_json(wire: Dialect) -> Json {
    match wire {
        Dialect::Messages => json!({
            "type": "model",
            "id": MODEL,
            "display_name": "Simulated",
            "created_at": "1970-01-01T00:00:00Z",
        }),
        Dialect::ChatCompletions | Dialect::Responses => {
            json!({"id": MODEL, "object": "model", "created": 0, "owned_by": "omoi"})
        }
    }
}

async fn list_models(headers: HeaderMap) -> Response {
    let wire = wire_of(&headers);
    if let Err(refusal) = receive::check_headers(wire, &headers) {
        return refusal.into_response(wire);
    }
    let model = model_json(wire);
    let body = match wire {
        Dialect::Messages => json!({
            "data": [model], "has_more": false, "first_id": MODEL, "last_id": MODEL,
        }),
        Dialect::ChatCompletions | Dialect::Responses => json!({"object": "list", "data": [model]}),
    };
    respond::json_response(StatusCode::OK, &body)
}

async fn show_model(Path(model): Path<String>, headers: HeaderMap) -> Response {
    let wire = wire_of(&headers);
    let checked = receive::check_headers(wire, &headers);
    let checked = checked.and_then(|()| match model == MODEL {
        true => Ok(()),
        false => Err(RefusalReason::UnknownModel { model }.into()),
    });
    match checked {
        Ok(()) => respond::json_response(StatusCode::OK, &model_json(wire)),
        Err(refusal) => refusal.into_response(wire),
    }
}

/// Counts the tokens of a request that is not asked: nothing of it is checked but that it is one.
async fn count_tokens(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let counted = async {
        let bytes = axum::body::to_bytes(body, receive::BODY_BYTES_MAX).await;
        let bytes = bytes.map_err(|_| RefusalReason::TooLarge {
            max_bytes: receive::BODY_BYTES_MAX,
        })?;
        receive::check_headers(Dialect::Messages, &parts.headers)?;
        receive::parse_body(&parts.headers, &bytes)?;
        Ok::<_, RequestRefusal>(bytes.len() as u64)
    };
    match counted.await {
        Ok(bytes) => {
            let tokens = bytes.div_ceil(cache_figures::BYTES_PER_TOKEN);
            respond::json_response(StatusCode::OK, &json!({"input_tokens": tokens}))
        }
        Err(refusal) => refusal.into_response(Dialect::Messages),
    }
}

async fn answer_request(
    wire: Dialect,
    State(shared): State<Arc<SimulatedShared>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut recorded = RecordedRequest {
        wire,
        keys: None,
        body: Json::Null,
        unknown: Vec::new(),
        outcome: RequestOutcome::Refused {
            status: 0,
            message: String::new(),
        },
    };
    let decided = match axum::body::to_bytes(body, receive::BODY_BYTES_MAX).await {
        Ok(bytes) => shared.decide_response(&mut recorded, &parts.headers, &bytes),
        Err(_) => Err(RefusalReason::TooLarge {
            max_bytes: receive::BODY_BYTES_MAX,
        }
        .into()),
    };
    if let Err(refusal) = &decided {
        let (status, message) = (refusal.http_status().as_u16(), refusal.full_message());
        tracing::debug!(
            status,
            reason = message,
            "The simulated model refused a request"
        );
        recorded.outcome = RequestOutcome::Refused { status, message };
    }
    if let Some(recorder) = &shared.recorder {
        recorder.record_request(recorded);
    }
    match decided {
        Ok(decided) => decided.send_response(shared.now()).await,
        Err(refusal) => refusal.into_response(wire),
    }
}

impl SimulatedShared {
    fn now(&self) -> Timestamp {
        self.clock.as_ref().map(|now| now()).unwrap_or_default()
    }

    fn decide_response(
        &self,
        recorded: &mut RecordedRequest,
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<PlannedResponse, RequestRefusal> {
        receive::check_headers(recorded.wire, headers)?;
        recorded.body = receive::parse_body(headers, bytes)?;
        let checked = receive::check_request(recorded, headers, bytes)?;
        recorded.keys = Some(checked.keys.clone());
        if checked.is_side {
            recorded.outcome = RequestOutcome::AnsweredAside;
            return Ok(planned_response::plan_side_answer(
                checked,
                self.scenario.defaults,
            ));
        }
        let (index, rule) = self.scenario.find_rule(&checked.keys)?;
        let fault = self.next_fault(index, rule);
        let rule_name = rule.name.clone();
        let outcome = match fault {
            Some(_) => RequestOutcome::Faulted { rule: rule_name },
            None => RequestOutcome::Replied { rule: rule_name },
        };
        let decided =
            planned_response::plan_response(checked, rule, fault, self.scenario.defaults)?;
        recorded.outcome = outcome;
        Ok(decided)
    }

    /// The fault that comes next for a rule, counting it.
    fn next_fault(&self, index: usize, rule: &ScenarioRule) -> Option<FaultKind> {
        if rule.faults.is_empty() {
            return None;
        }
        let mut past = self.ask_counts[index].fetch_add(1, Ordering::Relaxed);
        for fault in &rule.faults {
            match fault.times {
                FaultTimes::Count(times) if past >= u64::from(times) => past -= u64::from(times),
                _ => return Some(fault.kind.clone()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
