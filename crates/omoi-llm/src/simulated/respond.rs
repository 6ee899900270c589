//! From events and bodies to HTTP answers: chunks, pauses and cut connections.

use std::{collections::VecDeque, io, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use super::wire_output::WireOutput;
use crate::wire::sse;

/// Marks every answer of this server.
pub const SIMULATED: HeaderName = HeaderName::from_static("x-omoi-simulated");

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkPacing {
    pub(super) chunk_bytes: usize,
    pub(super) chunk_delay: Duration,
    /// The connection is cut after this many bytes of the body.
    pub(super) cut_after: Option<usize>,
}

/// A JSON answer in one piece.
pub(super) fn json_response(status: StatusCode, body: &Json) -> Response {
    build_response(status, "application/json", Body::from(body.to_string()))
}

/// A body that is sent as `pace` says, with pauses between its parts.
pub(super) fn paced_response(
    content_type: &'static str,
    outs: Vec<WireOutput>,
    pace: ChunkPacing,
) -> Response {
    build_response(
        StatusCode::OK,
        content_type,
        stepped_body(lay_out_steps(outs, pace)),
    )
}

/// Waits for `time`, as the scenario asks.
#[expect(
    clippy::disallowed_methods,
    reason = "the pause itself is what the scenario asks for; there is no state to wait for"
)]
pub(super) async fn pause_for(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A response without a body whose connection breaks.
pub(super) fn broken_response() -> Response {
    build_response(
        StatusCode::OK,
        "application/octet-stream",
        stepped_body(VecDeque::from([SendStep::Cut])),
    )
}

fn build_response(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SIMULATED, HeaderValue::from_static("1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[derive(Debug, PartialEq)]
enum SendStep {
    Send(Bytes),
    Wait(Duration),
    Cut,
}

/// The chunks and pauses of a body; chunks do not depend on where events end.
fn lay_out_steps(outs: Vec<WireOutput>, pace: ChunkPacing) -> VecDeque<SendStep> {
    let mut steps = VecDeque::new();
    let mut pending = Vec::new();
    let mut left = pace.cut_after.unwrap_or(usize::MAX);
    let mut flush = |pending: &mut Vec<u8>, steps: &mut VecDeque<SendStep>| {
        pending.truncate(left);
        left -= pending.len();
        for chunk in pending.chunks(pace.chunk_bytes) {
            if !pace.chunk_delay.is_zero() {
                steps.push_back(SendStep::Wait(pace.chunk_delay));
            }
            steps.push_back(SendStep::Send(Bytes::copy_from_slice(chunk)));
        }
        pending.clear();
    };
    for out in outs {
        match out {
            WireOutput::Event { name, data } => {
                pending.extend(sse::encode_frame(name, &data).into_bytes());
            }
            WireOutput::Raw(text) => pending.extend(text.into_bytes()),
            WireOutput::Wait(time) => {
                flush(&mut pending, &mut steps);
                steps.push_back(SendStep::Wait(time));
            }
        }
    }
    flush(&mut pending, &mut steps);
    if pace.cut_after.is_some() {
        steps.push_back(SendStep::Cut);
    }
    steps
}

fn stepped_body(steps: VecDeque<SendStep>) -> Body {
    let next = async |mut steps: VecDeque<SendStep>| loop {
        match steps.pop_front()? {
            SendStep::Wait(time) => pause_for(time).await,
            // Giving way lets the connection send what it has: chunks stay apart, and nothing that was
            // to be sent is lost when the connection is cut.
            SendStep::Send(bytes) => {
                tokio::task::yield_now().await;
                return Some((Ok(bytes), steps));
            }
            SendStep::Cut => {
                tokio::task::yield_now().await;
                let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the scenario");
                return Some((Err(cut), VecDeque::new()));
            }
        }
    };
    Body::from_stream(stream::unfold(steps, next))
}
