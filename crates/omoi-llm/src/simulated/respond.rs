//! From events and bodies to HTTP answers: chunks, pauses and cut connections.

use std::{collections::VecDeque, io, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use super::events::Out;
use crate::wire::sse;

/// Marks every answer of this server.
pub const SIMULATED: HeaderName = HeaderName::from_static("x-omoi-simulated");

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) chunk_bytes: usize,
    pub(super) chunk_delay: Duration,
    /// The connection is cut after this many bytes of the body.
    pub(super) cut_after: Option<usize>,
}

/// A JSON answer in one piece.
pub(super) fn json(status: StatusCode, body: &Json) -> Response {
    respond(status, "application/json", Body::from(body.to_string()))
}

/// A body that is sent as `pace` says, with pauses between its parts.
pub(super) fn paced(content_type: &'static str, outs: Vec<Out>, pace: Pace) -> Response {
    respond(StatusCode::OK, content_type, stepped(steps(outs, pace)))
}

/// Lets time pass on the wire.
#[expect(
    clippy::disallowed_methods,
    reason = "the pause itself is what the scenario asks for; there is no state to wait for"
)]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Nothing, and then a broken connection.
pub(super) fn broken() -> Response {
    respond(
        StatusCode::OK,
        "application/octet-stream",
        stepped(VecDeque::from([Step::Cut])),
    )
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SIMULATED, HeaderValue::from_static("1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[derive(Debug, PartialEq)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    Cut,
}

/// Lays out what happens on the connection, byte by byte independent of where events end.
fn steps(outs: Vec<Out>, pace: Pace) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    let mut pending = Vec::new();
    let mut left = pace.cut_after.unwrap_or(usize::MAX);
    let mut flush = |pending: &mut Vec<u8>, steps: &mut VecDeque<Step>| {
        pending.truncate(left);
        left -= pending.len();
        for chunk in pending.chunks(pace.chunk_bytes) {
            if !pace.chunk_delay.is_zero() {
                steps.push_back(Step::Wait(pace.chunk_delay));
            }
            steps.push_back(Step::Send(Bytes::copy_from_slice(chunk)));
        }
        pending.clear();
    };
    for out in outs {
        match out {
            Out::Event { name, data } => pending.extend(sse::encode(name, &data).into_bytes()),
            Out::Raw(text) => pending.extend(text.into_bytes()),
            Out::Wait(time) => {
                flush(&mut pending, &mut steps);
                steps.push_back(Step::Wait(time));
            }
        }
    }
    flush(&mut pending, &mut steps);
    if pace.cut_after.is_some() {
        steps.push_back(Step::Cut);
    }
    steps
}

fn stepped(steps: VecDeque<Step>) -> Body {
    let next = async |mut steps: VecDeque<Step>| loop {
        match steps.pop_front()? {
            Step::Wait(time) => pause(time).await,
            // Giving way lets the connection send what it has: chunks stay apart, and nothing that was
            // to be sent is lost when the connection is cut.
            Step::Send(bytes) => {
                tokio::task::yield_now().await;
                return Some((Ok(bytes), steps));
            }
            Step::Cut => {
                tokio::task::yield_now().await;
                let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the scenario");
                return Some((Err(cut), VecDeque::new()));
            }
        }
    };
    Body::from_stream(stream::unfold(steps, next))
}
