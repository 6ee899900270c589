//! From the bytes of an answer to its pieces in the words of another dialect.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, BoxStream};

use super::body_watch::{StreamWatch, WatchedBody};
use super::{AnswerItem, AnswerStream, MalformedAnswer, PassedPiece, UpstreamError};
use crate::conversation::{
    AnswerEvent, AnswerForm, AnswerParser, AnswerRenderer, MessagesEvents, WholeAnswerError,
};
use crate::wire::answer::AnswerError;
use crate::wire::answer_signs::{
    AnswerSigns, AnswerStage, FrameReader, SignsOrFailure, read_whole,
};
use crate::wire::anthropic::StreamEvent;
use crate::wire::dialect::Dialect;
use crate::wire::sse::{self, SseDecoder, SseFrame};

/// Writes the events of an answer for those who asked.
pub(crate) trait AnswerSink: Send + 'static {
    /// A piece of the answer as they take it.
    type Item: AnswerItem;

    /// The pieces that say `events`; what came of the upstream's own answer says `signs`.
    fn write_events(
        &mut self,
        events: Vec<AnswerEvent>,
        signs: AnswerSigns,
    ) -> Result<Vec<Self::Item>, UpstreamError>;
}

impl AnswerSink for MessagesEvents {
    type Item = StreamEvent;

    fn write_events(
        &mut self,
        events: Vec<AnswerEvent>,
        _: AnswerSigns,
    ) -> Result<Vec<StreamEvent>, UpstreamError> {
        let written = events.into_iter().flat_map(|event| self.push_event(event));
        Ok(written.collect())
    }
}

/// Writes an answer for a caller of the gateway, piece by piece or as a whole.
#[derive(Debug)]
pub(crate) struct CallerSink {
    renderer: Option<AnswerRenderer>,
    streams: bool,
}

impl CallerSink {
    /// A writer of one answer; a caller that does not stream gets it in one piece.
    pub(crate) fn new(form: AnswerForm, streams: bool) -> Self {
        Self {
            renderer: Some(AnswerRenderer::new(form)),
            streams,
        }
    }
}

impl AnswerSink for CallerSink {
    type Item = PassedPiece;

    fn write_events(
        &mut self,
        events: Vec<AnswerEvent>,
        mut signs: AnswerSigns,
    ) -> Result<Vec<PassedPiece>, UpstreamError> {
        let Some(renderer) = &mut self.renderer else {
            return Ok(Vec::new());
        };
        let mut frames = String::new();
        for event in events {
            frames.push_str(&renderer.push_event(event).map_err(broken_order)?);
        }
        let is_whole = signs.stage == AnswerStage::Whole;
        // The caller's own frames are of its own dialect; none of them holds figures alone.
        signs.is_usage_only = false;
        let bytes = if self.streams {
            frames.into_bytes()
        } else if is_whole {
            match self.renderer.take().map(AnswerRenderer::whole_answer) {
                Some(whole) => whole.map_err(broken_whole)?,
                None => Vec::new(),
            }
        } else {
            // Nothing is shown before the answer is whole, so that a cut one can be asked for again.
            signs.stage = AnswerStage::Opening;
            Vec::new()
        };
        let bytes = Bytes::from(bytes);
        Ok(vec![PassedPiece { bytes, signs }])
    }
}

fn broken_order(error: AnswerError) -> UpstreamError {
    UpstreamError::Malformed(MalformedAnswer::Answer(error))
}

fn broken_whole(error: WholeAnswerError) -> UpstreamError {
    UpstreamError::Malformed(match error {
        WholeAnswerError::Answer(error) => MalformedAnswer::Answer(error),
        WholeAnswerError::Call(broken) => MalformedAnswer::Call(broken),
    })
}

/// What is read.
pub(super) struct TranslatedReading {
    /// The upstream's dialect.
    pub(super) dialect: Dialect,
    /// Who makes its reasoning.
    pub(super) maker: String,
    /// The answer comes as one body, from a server that does not stream.
    pub(super) is_whole: bool,
    pub(super) watch: StreamWatch,
}

struct TranslatedReader<S: AnswerSink> {
    body: WatchedBody,
    reading: ReadAnswer,
    sink: S,
    decoder: SseDecoder,
    ready: VecDeque<Result<S::Item, UpstreamError>>,
    ended: bool,
}

struct ReadAnswer {
    dialect: Dialect,
    maker: String,
    frames: FrameReader,
    parser: AnswerParser,
    /// The body of a server that does not stream.
    whole_body: Option<Vec<u8>>,
}

/// The pieces that `sink` makes of the answer in `bytes`.
pub(super) fn read_translated<S: AnswerSink>(
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    reading: TranslatedReading,
    sink: S,
) -> AnswerStream<S::Item> {
    let limit = reading.watch.limits.bytes;
    let reader = TranslatedReader {
        body: WatchedBody::new(bytes, reading.watch),
        reading: ReadAnswer {
            frames: FrameReader::new(reading.dialect),
            parser: AnswerParser::new(reading.dialect, &reading.maker),
            dialect: reading.dialect,
            maker: reading.maker,
            whole_body: reading.is_whole.then(Vec::new),
        },
        sink,
        decoder: SseDecoder::with_limits(sse::FRAME_BYTES_MAX, limit),
        ready: VecDeque::new(),
        ended: false,
    };
    AnswerStream::new(stream::unfold(reader, |mut reader| async move {
        let piece = reader.next_piece().await?;
        Some((piece, reader))
    }))
}

impl<S: AnswerSink> TranslatedReader<S> {
    async fn next_piece(&mut self) -> Option<Result<S::Item, UpstreamError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            let filled = match self.body.next_bytes().await {
                Ok(Some(bytes)) => self.push_bytes(&bytes),
                Ok(None) => self.end_body(),
                Err(error) => Err(error),
            };
            if let Err(error) = filled {
                self.ended = true;
                // What came before it is passed on first.
                self.ready.push_back(Err(error));
            }
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), UpstreamError> {
        if let Some(whole) = &mut self.reading.whole_body {
            whole.extend_from_slice(bytes);
            let limit = self.body.watch.limits.bytes;
            if whole.len() > limit {
                return Err(UpstreamError::TooLarge { limit });
            }
            return Ok(());
        }
        for frame in self.decoder.push(bytes)? {
            if self.ended {
                break;
            }
            self.take_frame(&frame)?;
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &SseFrame) -> Result<(), UpstreamError> {
        // No sandbox is to read a key that a provider echoes.
        let frame = &SseFrame {
            event: frame.event.clone(),
            data: self.body.watch.mask.mask_text(&frame.data).into_owned(),
        };
        let read = self.reading.frames.read_frame(frame);
        let signs = self.judge(read)?;
        let events = self.reading.parser.push_frame(frame);
        self.write(events.map_err(malformed_event)?, signs)
    }

    /// The bytes are over. Only a chat stream may leave its closing line out, once it said why it ends.
    fn end_body(&mut self) -> Result<(), UpstreamError> {
        let whole = AnswerSigns {
            stage: AnswerStage::Whole,
            ..AnswerSigns::default()
        };
        let Some(body) = self.reading.whole_body.take() else {
            let events = self.reading.parser.close_stream();
            return self.write(events, whole);
        };
        let ReadAnswer { dialect, maker, .. } = &self.reading;
        let body = String::from_utf8_lossy(&body);
        let body = self.body.watch.mask.mask_text(&body);
        let signs = self.judge(read_whole(*dialect, body.as_bytes()))?;
        let events = AnswerParser::read_whole(*dialect, maker, body.as_bytes());
        let events = events.map_err(malformed_event)?;
        self.write(events.unwrap_or_default(), signs)
    }

    fn write(&mut self, events: Vec<AnswerEvent>, signs: AnswerSigns) -> Result<(), UpstreamError> {
        let says_end = events.contains(&AnswerEvent::Ended);
        if signs.stage == AnswerStage::Whole && !says_end {
            // It never said why it ends.
            return Err(UpstreamError::Cut);
        }
        if signs.stage != AnswerStage::Opening {
            self.body.note_content();
        }
        self.ended |= says_end;
        let pieces = self.sink.write_events(events, signs)?;
        self.ready.extend(pieces.into_iter().map(Ok));
        Ok(())
    }

    fn judge(
        &self,
        read: Result<SignsOrFailure, serde_json::Error>,
    ) -> Result<AnswerSigns, UpstreamError> {
        let failed = |failure| UpstreamError::from_reported(&failure, &self.body.watch.mask);
        read.map_err(malformed_event)?.map_err(failed)
    }
}

fn malformed_event(error: serde_json::Error) -> UpstreamError {
    UpstreamError::Malformed(MalformedAnswer::Event(error))
}
