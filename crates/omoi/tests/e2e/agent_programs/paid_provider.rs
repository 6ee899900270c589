//! A provider that is paid, and answers from a scenario as the simulated model does.

use std::path::Path;
use std::process::Command;
use std::thread;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use omoi_domain::phase::Phase;
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{RequestRecorder, SimulatedModel};
use omoi_llm::wire::headers;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// A name of its model under which a spec can be resumed: `simulated` would mean the model of a scenario then.
pub(super) const PAID_MODEL: &str = "paidmodel";
/// Bytes of a request.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// Requests that are kept: more than a run makes.
const REQUESTS_KEPT: usize = 1_000;

/// Serves the scenario of the file at `path` until the process ends; gives its address and what it is asked.
pub(super) fn serve_paid(path: &Path) -> (String, RequestRecorder) {
    let scenario = Scenario::load_file(path).unwrap_or_else(|errors| panic!("{errors}"));
    let requests = RequestRecorder::new(REQUESTS_KEPT);
    let model = SimulatedModel::new(scenario, Some(requests.clone()));
    let app = model.build_router().layer(from_fn(tell_caller));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || runtime.block_on(async { axum::serve(listener, app).await.unwrap() }));
    (address, requests)
}

/// Has `run` ask the provider at `url`.
pub(super) fn ask_provider(run: &mut Command, url: &str) {
    run.env("ANTHROPIC_BASE_URL", url)
        .env("ANTHROPIC_API_KEY", "of-a-test")
        .env("ANTHROPIC_MODEL", "simulated");
}

/// Adds the headers that rules are chosen by: the gateway tells a provider nothing of who asks.
async fn tell_caller(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, REQUEST_BYTES_MAX).await.unwrap();
    let body = String::from_utf8_lossy(&body);
    // Of the same length, which a header tells.
    let body = body.replace(&format!("\"{PAID_MODEL}\""), "\"simulated\"");
    for (name, value) in caller_headers(&body) {
        let value = HeaderValue::from_str(&value).unwrap();
        parts.headers.insert(HeaderName::from_static(name), value);
    }
    next.run(Request::from_parts(parts, body.into())).await
}

/// Who asks, by the headline of the prompt.
fn caller_headers(request: &str) -> Vec<(&'static str, String)> {
    let is_asked = |phase: &&Phase| request.contains(&format!("# Phase {phase} of"));
    if let Some(phase) = Phase::ALL.iter().find(is_asked) {
        let role = (headers::ROLE, "planner".to_owned());
        return vec![role, (headers::PHASE, phase.to_string())];
    }
    let Some((_, rest)) = request.split_once("# TSK-") else {
        return Vec::new();
    };
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let role = (headers::ROLE, "implementer".to_owned());
    vec![role, (headers::TASK, format!("TSK-{number}"))]
}
