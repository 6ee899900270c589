//! The bytes of an answer under its limits of silence and total time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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

/// The body of an answer under watch.
pub(super) struct WatchedBody {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
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

    /// The next bytes; none at the end.
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
        // Mostly there is more at once; a guard that is not needed is not made.
        if let Some(piece) = self.bytes.next().now_or_never() {
            return piece.transpose().map_err(broken_error);
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
        piece.transpose().map_err(broken_error)
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
