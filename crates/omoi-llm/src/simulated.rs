//! The simulated model: a local server that answers both wire formats from a scenario.
//!
//! It stands where a provider would stand, so everything between an agent and the network is really
//! exercised: requests of our own clients are checked more strictly than a provider does, answers are streamed in pieces
//! cut anywhere, and faults happen where the scenario says. What other clients send beyond the known is
//! recorded and let through. It keeps nothing but a count of faults per
//! rule. Every answer carries the header [`SIMULATED`].

mod answer;
mod anthropic_answer;
mod anthropic_request;
mod asked;
mod decided;
mod events;
mod openai_answer;
mod openai_request;
mod receive;
mod recorder;
mod refusal;
mod respond;
mod schema;
mod tolerance;
mod walk;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use self::{
    decided::Decided,
    refusal::{Reason, Refusal},
};
pub use self::{
    recorder::{Outcome, Recorded, Recorder},
    respond::SIMULATED,
};
use crate::scenario::{FaultKind, Rule, Scenario, Times};

/// The one model this server has.
pub const MODEL: &str = "simulated";

/// The format a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions.
    OpenAi,
}

/// A scenario ready to be served, with its fault counts.
#[derive(Clone, Debug)]
pub struct Simulated {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    scenario: Scenario,
    /// How often each rule was asked, up to the point where its faults are over.
    asked: Vec<AtomicU64>,
    recorder: Option<Recorder>,
}

impl Simulated {
    /// Serves `scenario` with all faults still to come; requests go to `recorder` too.
    pub fn new(scenario: Scenario, recorder: Option<Recorder>) -> Self {
        let asked = scenario.rules.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            shared: Arc::new(Shared {
                scenario,
                asked,
                recorder,
            }),
        }
    }

    /// The routes, to be served by whoever has a listener.
    pub fn router(&self) -> Router {
        let anthropic = |state, request| answer(Wire::Anthropic, state, request);
        let openai = |state, request| answer(Wire::OpenAi, state, request);
        Router::new()
            .route("/v1/messages", post(anthropic))
            .route("/v1/chat/completions", post(openai))
            .route("/v1/models", get(models))
            .method_not_allowed_fallback(no_such_route)
            .fallback(no_such_route)
            .with_state(Arc::clone(&self.shared))
    }
}

/// Serves until `stop` completes and the answers under way are sent.
///
/// # Errors
/// Gives the listener's error.
pub async fn serve(
    listener: TcpListener,
    simulated: &Simulated,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, simulated.router())
        .with_graceful_shutdown(stop)
        .await
}

async fn no_such_route(method: Method, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let wire = wire_of(request.headers());
    Refusal::from(Reason::NoSuchRoute {
        method: method.to_string(),
        path,
    })
    .into_response(wire)
}

/// The format in which to answer where the path does not say.
fn wire_of(headers: &HeaderMap) -> Wire {
    let is_anthropic =
        headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
    if is_anthropic {
        Wire::Anthropic
    } else {
        Wire::OpenAi
    }
}

async fn models(headers: HeaderMap) -> Response {
    let wire = wire_of(&headers);
    if let Err(refusal) = receive::check_headers(wire, &headers) {
        return refusal.into_response(wire);
    }
    let body = match wire {
        Wire::Anthropic => json!({
            "data": [{
                "type": "model",
                "id": MODEL,
                "display_name": "Simulated",
                "created_at": "1970-01-01T00:00:00Z",
            }],
            "has_more": false,
            "first_id": MODEL,
            "last_id": MODEL,
        }),
        Wire::OpenAi => json!({
            "object": "list",
            "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "omoi"}],
        }),
    };
    respond::json(StatusCode::OK, &body)
}

async fn answer(wire: Wire, State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut seen = Recorded {
        wire,
        keys: None,
        body: Json::Null,
        unknown: Vec::new(),
        outcome: Outcome::Refused {
            status: 0,
            message: String::new(),
        },
    };
    let decided = match axum::body::to_bytes(body, receive::BODY_BYTES_MAX).await {
        Ok(bytes) => shared.decide(&mut seen, &parts.headers, &bytes),
        Err(_) => Err(Reason::TooLarge {
            max_bytes: receive::BODY_BYTES_MAX,
        }
        .into()),
    };
    if let Err(refusal) = &decided {
        let (status, message) = (refusal.status().as_u16(), refusal.message());
        tracing::debug!(status, message, "The simulated model refused a request");
        seen.outcome = Outcome::Refused { status, message };
    }
    if let Some(recorder) = &shared.recorder {
        recorder.record(seen);
    }
    match decided {
        Ok(decided) => decided.send().await,
        Err(refusal) => refusal.into_response(wire),
    }
}

impl Shared {
    fn decide(
        &self,
        seen: &mut Recorded,
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<Decided, Refusal> {
        receive::check_headers(seen.wire, headers)?;
        seen.body = receive::parse(headers, bytes)?;
        let asked = receive::check(seen, headers, bytes)?;
        seen.keys = Some(asked.keys.clone());
        let (index, rule) = self.scenario.find(&asked.keys)?;
        let fault = self.next_fault(index, rule);
        let rule_name = rule.name.clone();
        let outcome = match fault {
            Some(_) => Outcome::Faulted { rule: rule_name },
            None => Outcome::Replied { rule: rule_name },
        };
        let decided = decided::decide(asked, rule, fault, self.scenario.defaults)?;
        seen.outcome = outcome;
        Ok(decided)
    }

    /// The fault that comes next for a rule, counting it.
    fn next_fault(&self, index: usize, rule: &Rule) -> Option<FaultKind> {
        if rule.faults.is_empty() {
            return None;
        }
        let mut past = self.asked[index].fetch_add(1, Ordering::Relaxed);
        for fault in &rule.faults {
            match fault.times {
                Times::Count(times) if past >= u64::from(times) => past -= u64::from(times),
                _ => return Some(fault.kind.clone()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
