//! Bodies of bytes that are no JSON, such as bundles of commits: larger than others, and with a room of their own, so that
//! they fill no more of the memory than that, however many come.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request};

use omoi_git::work::BUNDLE_BYTES_MAX;
use omoi_llm::body_room::{BodyLimits, BodyRoom, BodyRooms};

use super::ApiSurface;
use super::body::expect_media;
use crate::error::ApiError;
use crate::report_body::{ROOM_WAIT, check_length, read_within};

/// Bytes of one body, at most.
const UPLOAD_BYTES_MAX: usize = BUNDLE_BYTES_MAX;
/// How such a body is sent.
pub(super) const BYTES_MEDIA: &str = "application/octet-stream";
/// What all of them fill at once: one of the largest size, or several smaller ones.
const UPLOAD_LIMITS: BodyLimits = BodyLimits {
    attempt_kib: UPLOAD_BYTES_MAX >> 10,
    all_kib: UPLOAD_BYTES_MAX >> 10,
};

/// The room for such bodies. Clones share it.
#[derive(Clone, Debug)]
pub struct UploadRoom(Arc<BodyRooms>);

impl Default for UploadRoom {
    fn default() -> Self {
        Self(Arc::new(BodyRooms::new(UPLOAD_LIMITS)))
    }
}

/// A body that was read, with the room that it takes until it is dropped.
pub(super) struct HeldBody {
    pub(super) bytes: Vec<u8>,
    _room: BodyRoom,
}

/// Reads a body of `bytes_max` at most, once there is room for it.
///
/// # Errors
/// [`ErrorCode::TooLarge`](omoi_domain::error_code::ErrorCode::TooLarge) before anything is read of a body that is told to
/// be longer, `NotReady` without room, `SlowRequest`.
pub(super) async fn hold_body(
    request: Request,
    surface: &ApiSurface,
    bytes_max: usize,
) -> Result<HeldBody, ApiError> {
    let body = request.into_body();
    let told = body.size_hint().exact();
    let told = told.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let n_bytes = told.unwrap_or(bytes_max);
    check_length(n_bytes, bytes_max)?;
    let room = surface.parts.upload_room.0.reserve_room(None, n_bytes);
    let room = room.map_err(|taken| ApiError::no_room(taken, ROOM_WAIT))?;
    let bytes = read_within(surface.parts.clock.as_ref(), body, n_bytes).await?;
    Ok(HeldBody { bytes, _room: room })
}

/// A body of bytes.
pub(crate) struct UploadBody(HeldBody);

impl UploadBody {
    /// What was sent.
    pub(crate) fn body_bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl FromRequest<ApiSurface> for UploadBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, surface: &ApiSurface) -> Result<Self, ApiError> {
        expect_media(request.headers(), BYTES_MEDIA)?;
        hold_body(request, surface, UPLOAD_BYTES_MAX)
            .await
            .map(Self)
    }
}
