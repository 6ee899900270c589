//! The model gateway behind the socket of sandboxes: it speaks the protocols of providers, by any method and path of
//! theirs, so the description of the worker API has no operations of it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt as _;
use tracing::{error, info, warn};

use omoi_domain::agent_program::AgentProgram;
use omoi_execution::intake::{self, IntakeError};
use omoi_llm::gateway::{
    GatewayRefusal, GatewayReply, GatewayRequest, REQUEST_BYTES_MAX, ReplyBody as GatewayBody,
    caller_dialect,
};
use omoi_llm::wire::headers::told_turns;
use omoi_runtime::clock::with_deadline;
use omoi_runtime::telemetry::error_chain;

use super::{Surface, WorkerSurface, claim_seat};
use crate::access_log::note_attempt;
use crate::connection_seats::CROWDED_WAIT;
use crate::request_token::request_token;
use crate::sandbox_limits::SandboxTraffic;

/// How long the body of a model request may take to come.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);

/// Where agents ask models.
pub(super) fn gateway_routes() -> Router<WorkerSurface> {
    Router::new()
        .route("/", any(call_model))
        .route("/v1", any(call_model))
        .route("/v1/{*rest}", any(call_model))
}

/// Hands a model request to the gateway on behalf of the token's attempt.
async fn call_model(State(s): Surface, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let dialect = caller_dialect(parts.uri.path(), &parts.headers);
    let answered = ask_gateway(&s, parts, body).await;
    response(answered.unwrap_or_else(|refusal| refusal.into_reply(dialect)))
}

async fn ask_gateway(
    s: &WorkerSurface,
    parts: Parts,
    body: Body,
) -> Result<GatewayReply, GatewayRefusal> {
    let store = s.parts.intake.store.store();
    let token = request_token(&parts.headers).ok_or_else(GatewayRefusal::unknown_token)?;
    let found = intake::authenticate_caller(store, token).await;
    let (tenant, attempt, mut caller) = found.map_err(|error| refuse_intake(&error))?;
    note_attempt(&attempt.id.to_string());
    let seated = claim_seat(&parts.extensions, &attempt);
    seated.map_err(|much| GatewayRefusal::too_many(much.to_string(), CROWDED_WAIT))?;
    let counted = s
        .parts
        .limits
        .count_traffic(attempt.id, SandboxTraffic::ModelRequests, 1);
    counted.map_err(|much| GatewayRefusal::too_many(much.to_string(), much.retry_after))?;
    let live = intake::expect_live(&tenant, &attempt, "model").await;
    live.map_err(|error| refuse_intake(&error))?;
    let gateway = s.gateway.as_ref().map_err(|why| {
        info!(why, "An agent asks, and there is no model");
        GatewayRefusal::no_model(why)
    })?;
    let clock = s.parts.clock.as_ref();
    let told = body
        .size_hint()
        .upper()
        .and_then(|n| usize::try_from(n).ok());
    let n_bytes = told.map_or(REQUEST_BYTES_MAX, |n| n.min(REQUEST_BYTES_MAX));
    let coming = gateway.reserve_body(Some(attempt.id), n_bytes)?;
    let read = axum::body::to_bytes(body, REQUEST_BYTES_MAX);
    let Ok(body) = with_deadline(clock, REQUEST_TIME_MAX, read).await else {
        return Err(GatewayRefusal::slow_request(REQUEST_TIME_MAX));
    };
    let body = body.map_err(|_| GatewayRefusal::too_large())?;
    drop(coming);
    // Our own loop alone asks ahead of its turns.
    let is_own_loop = caller.program.is_none_or(AgentProgram::is_native);
    caller.n_turns = told_turns(&parts.headers).filter(|_| is_own_loop);
    let request = GatewayRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    Ok(gateway.handle_request(&caller, request).await)
}

/// What keeps an attempt from the gateway. What is wrong inside the log tells alone, on the lines of the
/// request.
fn refuse_intake(error: &IntakeError) -> GatewayRefusal {
    match error {
        IntakeError::Unauthorized => GatewayRefusal::unknown_token(),
        IntakeError::Superseded => GatewayRefusal::superseded_attempt(),
        IntakeError::Store(store) if store.is_retryable() => {
            warn!(error = %error_chain(error), "A model call cannot be taken in for now");
            GatewayRefusal::unavailable_now("the platform cannot take the request in for now")
        }
        other => {
            error!(error = %error_chain(other), "A model call cannot be taken in");
            GatewayRefusal::internal_failure(
                "something failed on our side; the log has it as this request",
            )
        }
    }
}

fn response(reply: GatewayReply) -> Response {
    let body = match reply.body {
        GatewayBody::Full(bytes) => Body::from(bytes),
        GatewayBody::Events(events) => {
            Body::from_stream(events.map(Ok::<Bytes, std::convert::Infallible>))
        }
    };
    (reply.status, reply.headers, body).into_response()
}
