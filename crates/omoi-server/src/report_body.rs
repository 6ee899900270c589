//! How bodies of reports are read: within bounds of size, of time, and of what all of them fill together.
//!
//! A worker is inside of its sandbox, and so is its token: what is hostile there may report, too.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use tracing::debug;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::AttemptId;
use omoi_llm::body_room::{BodyLimits, BodyRoom, BodyRoomTaken, BodyRooms};
use omoi_runtime::clock::{Clock, Clocked, with_deadline};

use crate::error::ApiError;
use crate::worker::Caller;

/// Bytes of a report with a bundle: one of the largest size, as base64 in JSON.
pub(crate) const BUNDLE_BYTES_MAX: usize = 360 << 20;
/// Bytes of any other report: a batch of events of the largest size with its frame.
pub(crate) const REPORT_BYTES_MAX: usize = (1 << 20) + (64 << 10);
/// Bytes of a body that counts as small: large ones of some never keep these of others out.
const SMALL_BYTES_MAX: usize = 8 << 20;
/// Small bodies: those of one attempt, and of all.
const SMALL_LIMITS: BodyLimits = BodyLimits {
    attempt_kib: 12 << 10,
    all_kib: 128 << 10,
};
/// Larger ones: of an attempt one of the largest size.
const LARGE_LIMITS: BodyLimits = BodyLimits {
    attempt_kib: BUNDLE_BYTES_MAX >> 10,
    all_kib: 384 << 10,
};
/// How long a body may take, however small it is.
const BODY_TIME_MIN: Duration = Duration::from_mins(1);
/// Bytes of a body that come in a second at least, beyond that time.
const BYTES_PER_SECOND: usize = 1 << 20;
/// How long a sender is told to wait for room.
pub(crate) const ROOM_WAIT: Duration = Duration::from_secs(2);

/// The room for bodies of reports. Clones share it.
#[derive(Clone, Debug)]
pub struct ReportRooms {
    small: BodyRooms,
    large: BodyRooms,
}

impl Default for ReportRooms {
    fn default() -> Self {
        Self {
            small: BodyRooms::new(SMALL_LIMITS),
            large: BodyRooms::new(LARGE_LIMITS),
        }
    }
}

impl ReportRooms {
    fn reserve_report(
        &self,
        attempt: AttemptId,
        n_bytes: usize,
    ) -> Result<BodyRoom, BodyRoomTaken> {
        let rooms = match n_bytes <= SMALL_BYTES_MAX {
            true => &self.small,
            false => &self.large,
        };
        rooms.reserve_room(Some(attempt), n_bytes)
    }
}

/// What a group of routes takes.
#[derive(Clone)]
pub(crate) struct BodyBounds {
    pub(crate) rooms: ReportRooms,
    pub(crate) clock: Clocked,
    pub(crate) bytes_max: usize,
}

/// Reads the body of a report; its room is free once the report is answered.
pub(crate) async fn take_body(
    State(bounds): State<BodyBounds>,
    Extension(caller): Caller,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let told = body.size_hint().exact();
    let told = told.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let n_bytes = told.unwrap_or(bounds.bytes_max);
    check_length(n_bytes, bounds.bytes_max)?;
    let room = bounds.rooms.reserve_report(caller.attempt.id, n_bytes);
    let _room = room.map_err(|taken| ApiError::no_room(taken, ROOM_WAIT))?;
    let bytes = read_within(bounds.clock.as_ref(), body, n_bytes).await?;
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok(next.run(request).await)
}

/// All of `body`, which has at most `bytes_max` bytes and the time that so many may take.
pub(crate) async fn read_within(
    clock: &dyn Clock,
    body: Body,
    bytes_max: usize,
) -> Result<Vec<u8>, ApiError> {
    let limit = body_time(bytes_max);
    let read = with_deadline(clock, limit, read_body(body, bytes_max)).await;
    read.map_err(|_| {
        let says = format!("the body did not come within {} s", limit.as_secs());
        ApiError::new(ErrorCode::SlowRequest, says)
    })?
}

/// All of `body`, which has at most `bytes_max` bytes.
async fn read_body(body: Body, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    // What was promised and does not come takes no memory.
    let mut bytes = Vec::with_capacity(bytes_max);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            debug!(%error, "A body broke off");
            ApiError::new(ErrorCode::MalformedJson, "the body broke off")
        })?;
        check_length(bytes.len() + piece.len(), bytes_max)?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub(crate) fn check_length(n_bytes: usize, bytes_max: usize) -> Result<(), ApiError> {
    if n_bytes <= bytes_max {
        return Ok(());
    }
    let says = format!("the body has {n_bytes} bytes or more, at most {bytes_max} are taken here");
    Err(ApiError::new(ErrorCode::TooLarge, says))
}

/// How long a body of `n_bytes` may take.
fn body_time(n_bytes: usize) -> Duration {
    let seconds = n_bytes.div_ceil(BYTES_PER_SECOND);
    BODY_TIME_MIN + Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_a_body_grows_with_its_size() {
        for (n_bytes, seconds) in [(0, 60), (1, 61), (1 << 20, 61), (BUNDLE_BYTES_MAX, 420)] {
            assert_eq!(body_time(n_bytes).as_secs(), seconds, "{n_bytes}");
        }
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones_and_one_attempt_for_others() {
        let rooms = ReportRooms::default();
        let attempts: Vec<AttemptId> = (0..3)
            .map(|n| format!("01930000-0000-7000-8000-00000000000{n}").parse())
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        let reserve = |of: usize, n_bytes| rooms.reserve_report(attempts[of], n_bytes);
        let large = reserve(1, BUNDLE_BYTES_MAX);
        assert!(large.is_ok());
        // One of the largest size at a time, of one attempt and of all.
        assert!(reserve(1, SMALL_BYTES_MAX + 1).is_err());
        assert!(reserve(2, BUNDLE_BYTES_MAX).is_err());
        // Others go on; so do its own signs of life.
        let small: Vec<_> = (0..12).map_while(|_| reserve(1, 1 << 20).ok()).collect();
        assert_eq!(small.len(), 12);
        assert!(reserve(1, 1).is_err());
        assert!(reserve(2, SMALL_BYTES_MAX).is_ok());
        drop((large, small));
        assert!(reserve(2, BUNDLE_BYTES_MAX).is_ok());
        assert!(reserve(1, SMALL_BYTES_MAX).is_ok());
    }
}
