//! From the bytes of an answer to its events, watching size, silence and total time.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use omoi_domain::secret_mask::SecretMask;
use omoi_domain::time::Timestamp;

use super::http::masked_line;
use super::{AnswerLimits, EventStream, MalformedAnswer, UpstreamError};
use crate::pace::CallPace;
use crate::wire::anthropic::{StreamEvent, status_of_error};
use crate::wire::convert::{ChunkConverter, events_of_chat};
use crate::wire::openai::DONE;
use crate::wire::sse::{self, SseDecoder, SseFrame};

/// Which format the bytes are in.
pub(super) enum AnswerFormat {
    /// Server-sent events of Anthropic Messages.
    Anthropic,
    /// Chunks of OpenAI chat completions.
    Openai(Box<ChunkConverter>),
    /// One OpenAI answer, from a server that does not stream.
    WholeOpenai(Vec<u8>),
}

/// Limits, clock and secrets that a stream is read with.
pub(super) struct StreamWatch {
    pub(super) limits: AnswerLimits,
    pub(super) pace: Arc<dyn CallPace>,
    pub(super) mask: SecretMask,
}

struct StreamReader {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    source: AnswerFormat,
    watch: StreamWatch,
    decoder: SseDecoder,
    ready: VecDeque<StreamEvent>,
    /// When the first content came.
    content_at: Option<Timestamp>,
    ended: bool,
}

/// The events in `body`.
pub(super) fn read_events(
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    source: AnswerFormat,
    watch: StreamWatch,
) -> EventStream {
    let reader = StreamReader {
        decoder: SseDecoder::with_limits(sse::FRAME_BYTES_MAX, watch.limits.bytes),
        body,
        source,
        watch,
        ready: VecDeque::new(),
        content_at: None,
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
                if !event.is_opening() && self.content_at.is_none() {
                    self.content_at = Some(self.watch.pace.now());
                }
                let event = error_or_event(event, &self.watch.mask);
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

    /// Waits for the next bytes and reads them.
    async fn fill_ready(&mut self) -> Result<(), UpstreamError> {
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
        // Both are cancel-safe: bytes not yet handed out stay in the connection.
        let piece = tokio::select! {
            piece = self.body.next() => piece,
            () = self.watch.pace.expire(silence.min(left)) => {
                return Err(if left < silence {
                    too_long_error(total)
                } else {
                    UpstreamError::Silent { limit_s: silence.as_secs() }
                });
            }
        };
        match piece {
            Some(Ok(bytes)) => self.push_bytes(&bytes),
            Some(Err(error)) => Err(UpstreamError::Broken(error.without_url())),
            None => self.end_stream(),
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), UpstreamError> {
        if let AnswerFormat::WholeOpenai(whole) = &mut self.source {
            whole.extend_from_slice(bytes);
            let limit = self.watch.limits.bytes;
            if whole.len() > limit {
                return Err(UpstreamError::TooLarge { limit });
            }
            return Ok(());
        }
        for frame in self.decoder.push(bytes)? {
            self.take_frame(&frame)?;
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &SseFrame) -> Result<(), UpstreamError> {
        match &mut self.source {
            AnswerFormat::Anthropic => {
                let event = serde_json::from_str(&frame.data).map_err(malformed_event)?;
                self.ready.push_back(event);
            }
            AnswerFormat::Openai(_) if frame.data == DONE => self.end_stream()?,
            AnswerFormat::Openai(converter) => {
                let chunk = serde_json::from_str(&frame.data).map_err(malformed_event)?;
                self.ready.extend(converter.push(&chunk));
            }
            AnswerFormat::WholeOpenai(_) => {}
        }
        Ok(())
    }

    /// The answer is over. Anthropic's ends with an event of its own, so here it was cut; OpenAI's ends
    /// with a closing line that some compatible servers leave out.
    fn end_stream(&mut self) -> Result<(), UpstreamError> {
        let events = match &mut self.source {
            AnswerFormat::Anthropic => None,
            AnswerFormat::Openai(converter) => std::mem::take(converter).finish(),
            AnswerFormat::WholeOpenai(whole) => {
                let response = serde_json::from_slice(whole).map_err(malformed_event)?;
                events_of_chat(&response)
            }
        };
        self.ready.extend(events.ok_or(UpstreamError::Cut)?);
        Ok(())
    }
}

fn malformed_event(error: serde_json::Error) -> UpstreamError {
    UpstreamError::Malformed(MalformedAnswer::Event(error))
}

fn too_long_error(total: std::time::Duration) -> UpstreamError {
    UpstreamError::TooLong {
        limit_s: total.as_secs(),
    }
}

/// A failure reported inside the stream is the failure it would have been in the head.
fn error_or_event(event: StreamEvent, mask: &SecretMask) -> Result<StreamEvent, UpstreamError> {
    match event {
        StreamEvent::Error(e) => Err(UpstreamError::Status {
            status: status_of_error(&e.error.kind).unwrap_or(500),
            kind: masked_line(&e.error.kind, mask),
            message: masked_line(&e.error.message, mask),
            retry_after: None,
        }),
        event => Ok(event),
    }
}
