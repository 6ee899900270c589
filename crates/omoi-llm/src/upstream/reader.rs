//! From the bytes of an answer in Anthropic Messages to its events, for our own client.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use serde_json::Value;

use omoi_domain::secret_mask::SecretMask;

use super::body_watch::{StreamWatch, WatchedBody};
use super::{EventStream, MalformedAnswer, UpstreamError};
use crate::wire::answer_signs::ReportedFailure;
use crate::wire::anthropic::{SHOULD_RETRY_FIELD, StreamEvent, status_of_error};
use crate::wire::sse::{self, SseDecoder};

struct StreamReader {
    body: WatchedBody,
    decoder: SseDecoder,
    ready: VecDeque<StreamEvent>,
    ended: bool,
}

/// The events in `body`.
pub(super) fn read_events(
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    watch: StreamWatch,
) -> EventStream {
    let reader = StreamReader {
        decoder: SseDecoder::with_limits(sse::FRAME_BYTES_MAX, watch.limits.bytes),
        body: WatchedBody::new(body, watch),
        ready: VecDeque::new(),
        ended: false,
    };
    EventStream::new(stream::unfold(reader, |mut reader| async move {
        let event = reader.next_event().await?;
        Some((event, reader))
    }))
}

impl StreamReader {
    async fn next_event(&mut self) -> Option<Result<StreamEvent, UpstreamError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if !event.is_opening() {
                    self.body.note_content();
                }
                let event = error_or_event(event, &self.body.watch.mask);
                if matches!(&event, Err(_) | Ok(StreamEvent::MessageStop(_))) {
                    self.ended = true;
                    self.ready.clear();
                }
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.fill_ready().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Waits for the next bytes and reads them. An answer ends with an event of its own; without it, it
    /// was cut.
    async fn fill_ready(&mut self) -> Result<(), UpstreamError> {
        let bytes = self.body.next_bytes().await?;
        for frame in self.decoder.push(&bytes.ok_or(UpstreamError::Cut)?)? {
            let event = serde_json::from_str(&frame.data).map_err(malformed_event)?;
            self.ready.push_back(event);
        }
        Ok(())
    }
}

fn malformed_event(error: serde_json::Error) -> UpstreamError {
    UpstreamError::Malformed(MalformedAnswer::Event(error))
}

/// A failure reported inside the stream is the failure it would have been in the head.
fn error_or_event(event: StreamEvent, mask: &SecretMask) -> Result<StreamEvent, UpstreamError> {
    match event {
        StreamEvent::Error(e) => {
            let should_retry = e.extra.get(SHOULD_RETRY_FIELD) == Some(&Value::Bool(true));
            let failure = ReportedFailure {
                should_retry,
                status: status_of_error(&e.error.kind).unwrap_or(500),
                kind: e.error.kind,
                message: e.error.message,
            };
            Err(UpstreamError::from_reported(&failure, mask))
        }
        event => Ok(event),
    }
}
