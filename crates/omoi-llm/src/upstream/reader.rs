//! From the bytes of an answer to its events, watching size, silence and total time.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, BoxStream};

use omoi_domain::secret_mask::SecretMask;

use super::body_watch::{StreamWatch, WatchedBody};
use super::{EventStream, MalformedAnswer, UpstreamError};
use crate::wire::answer_signs::ReportedFailure;
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

struct StreamReader {
    body: WatchedBody,
    source: AnswerFormat,
    decoder: SseDecoder,
    ready: VecDeque<StreamEvent>,
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
        body: WatchedBody::new(body, watch),
        source,
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

    /// Waits for the next bytes and reads them.
    async fn fill_ready(&mut self) -> Result<(), UpstreamError> {
        match self.body.next_bytes().await? {
            Some(bytes) => self.push_bytes(&bytes),
            None => self.end_stream(),
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), UpstreamError> {
        if let AnswerFormat::WholeOpenai(whole) = &mut self.source {
            whole.extend_from_slice(bytes);
            let limit = self.body.watch.limits.bytes;
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

/// A failure reported inside the stream is the failure it would have been in the head.
fn error_or_event(event: StreamEvent, mask: &SecretMask) -> Result<StreamEvent, UpstreamError> {
    match event {
        StreamEvent::Error(e) => {
            let failure = ReportedFailure {
                status: status_of_error(&e.error.kind).unwrap_or(500),
                kind: e.error.kind,
                message: e.error.message,
            };
            Err(UpstreamError::from_reported(&failure, mask))
        }
        event => Ok(event),
    }
}
