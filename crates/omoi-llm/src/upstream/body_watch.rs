//! The bytes of an answer under its limits of silence and total time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use omoi_domain::secret_mask::SecretMask;
use omoi_domain::time::Timestamp;

use super::{AnswerLimits, UpstreamError};
use crate::pace::CallPace;

/// Limits, clock and secrets that a stream is read with.
pub(super) struct StreamWatch {
    pub(super) limits: AnswerLimits,
    pub(super) pace: Arc<dyn CallPace>,
    pub(super) mask: SecretMask,
}

/// Bytes up to which pieces of a body are taken as one where they are there already.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// One step of a body.
type BodyStep = Option<reqwest::Result<Bytes>>;

/// The body of an answer under watch.
pub(super) struct WatchedBody {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    /// A step that was taken too early: the end, or an error.
    ahead: Option<BodyStep>,
    pub(super) watch: StreamWatch,
    /// When the first content came.
    content_at: Option<Timestamp>,
}

impl WatchedBody {
    pub(super) fn new(
        bytes: BoxStream<'static, reqwest::Result<Bytes>>,
        watch: StreamWatch,
    ) -> Self {
        Self {
            bytes,
            ahead: None,
            watch,
            content_at: None,
        }
    }

    /// Notes that content was seen: from now on the limits of silence and of the whole answer count.
    pub(super) fn note_content(&mut self) {
        if self.content_at.is_none() {
            self.content_at = Some(self.watch.pace.now());
        }
    }

    /// The next bytes; none at the end. Pieces that are there already come together: a model says its words one by
    /// one, and under load each of them would cost as much as all.
    pub(super) async fn next_bytes(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let AnswerLimits {
            first_content,
            silence,
            total,
            ..
        } = self.watch.limits;
        let (silence, left) = match self.content_at {
            // Whoever waits for the first content bounds all of that time.
            None => (first_content, first_content),
            Some(at) => (
                silence,
                total.saturating_sub(self.watch.pace.now().since(at)),
            ),
        };
        if left.is_zero() {
            return Err(too_long_error(total));
        }
        if let Some(ended) = self.ahead.take() {
            return ended.transpose().map_err(broken_error);
        }
        // Mostly there is more at once; a guard that is not needed is not made.
        if let Some(piece) = self.bytes.next().now_or_never() {
            return self.join_ready(piece);
        }
        // Both are cancel-safe: bytes not yet handed out stay in the connection.
        let piece = tokio::select! {
            piece = self.bytes.next() => piece,
            () = self.watch.pace.expire(silence.min(left)) => {
                return Err(if left < silence {
                    too_long_error(total)
                } else {
                    UpstreamError::Silent { limit_s: silence.as_secs() }
                });
            }
        };
        self.join_ready(piece)
    }

    /// `first` and the pieces behind it that are there.
    fn join_ready(&mut self, first: BodyStep) -> Result<Option<Bytes>, UpstreamError> {
        let Some(first) = first.transpose().map_err(broken_error)? else {
            return Ok(None);
        };
        let mut joined = BytesMut::new();
        while first.len().max(joined.len()) < JOINED_BYTES_MAX {
            match self.bytes.next().now_or_never() {
                Some(Some(Ok(more))) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&more);
                }
                // What came before it is read first.
                Some(ended) => {
                    self.ahead = Some(ended);
                    break;
                }
                None => break,
            }
        }
        match joined.is_empty() {
            true => Ok(Some(first)),
            false => Ok(Some(joined.freeze())),
        }
    }
}

fn broken_error(error: reqwest::Error) -> UpstreamError {
    UpstreamError::Broken(error.without_url())
}

fn too_long_error(total: Duration) -> UpstreamError {
    UpstreamError::TooLong {
        limit_s: total.as_secs(),
    }
}
