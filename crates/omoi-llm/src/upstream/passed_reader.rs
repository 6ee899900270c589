//! From the bytes of an answer to its pieces, each as it came, with what it says beside it.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, BoxStream};

use super::body_watch::{StreamWatch, WatchedBody};
use super::{AnswerItem, AnswerStream, MalformedAnswer, UpstreamError};
use crate::wire::answer_signs::{
    AnswerSigns, AnswerStage, FrameReader, SignsOrFailure, read_whole,
};
use crate::wire::dialect::Dialect;
use crate::wire::sse::{self, RawFrame, SseDecoder};

/// Some bytes of an answer, for the caller as they are.
#[derive(Clone, Debug)]
pub(crate) struct PassedPiece {
    pub(crate) bytes: Bytes,
    pub(crate) signs: AnswerSigns,
}

impl AnswerItem for PassedPiece {
    fn read_signs(&self) -> AnswerSigns {
        self.signs.clone()
    }
}

/// In which form an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassedForm {
    /// As server-sent events.
    Streamed {
        /// The caller did not ask for the chunk of token counts, which is ours alone.
        hides_usage: bool,
    },
    /// As one body.
    Whole,
}

/// What is read, and in which form.
pub(super) struct PassedReading {
    pub(super) dialect: Dialect,
    pub(super) form: PassedForm,
    pub(super) watch: StreamWatch,
}

struct PassedReader {
    body: WatchedBody,
    dialect: Dialect,
    form: PassedForm,
    decoder: SseDecoder,
    frames: FrameReader,
    ready: VecDeque<Result<PassedPiece, UpstreamError>>,
    /// How far the pieces handed out so far go.
    stage: AnswerStage,
    whole_body: Vec<u8>,
    ended: bool,
}

/// The pieces of the answer in `bytes`.
pub(super) fn read_pieces(
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    reading: PassedReading,
) -> AnswerStream<PassedPiece> {
    let limit = reading.watch.limits.bytes;
    let reader = PassedReader {
        body: WatchedBody::new(bytes, reading.watch),
        dialect: reading.dialect,
        form: reading.form,
        decoder: SseDecoder::with_limits(sse::FRAME_BYTES_MAX, limit),
        frames: FrameReader::new(reading.dialect),
        ready: VecDeque::new(),
        stage: AnswerStage::Opening,
        whole_body: Vec::new(),
        ended: false,
    };
    AnswerStream::new(stream::unfold(reader, |mut reader| async move {
        let piece = reader.next_piece().await?;
        Some((piece, reader))
    }))
}

impl PassedReader {
    async fn next_piece(&mut self) -> Option<Result<PassedPiece, UpstreamError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.ended |= piece.is_err();
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

    fn push_bytes(&mut self, bytes: &Bytes) -> Result<(), UpstreamError> {
        match self.form {
            PassedForm::Whole => {
                self.whole_body.extend_from_slice(bytes);
                let limit = self.body.watch.limits.bytes;
                if self.whole_body.len() > limit {
                    return Err(UpstreamError::TooLarge { limit });
                }
                Ok(())
            }
            PassedForm::Streamed { hides_usage } => {
                for raw in self.decoder.push_raw(bytes)? {
                    if let Some(piece) = self.take_raw(raw, hides_usage)? {
                        self.push_piece(piece, bytes);
                    }
                }
                self.append_tail();
                Ok(())
            }
        }
    }

    /// The piece that `raw` is; none behind the end of the answer.
    fn take_raw(
        &mut self,
        raw: RawFrame,
        hides_usage: bool,
    ) -> Result<Option<PassedPiece>, UpstreamError> {
        if self.stage == AnswerStage::Whole {
            self.append_bytes(&raw.bytes);
            return Ok(None);
        }
        let mut signs = match &raw.frame {
            None => AnswerSigns::default(),
            Some(frame) => {
                let read = self.frames.read_frame(frame);
                self.judge(read)?
            }
        };
        if signs.stage != AnswerStage::Opening {
            // Content behind an end is another choice that begins.
            self.stage = signs.stage;
        }
        if signs.stage != AnswerStage::Opening {
            self.body.note_content();
        }
        self.ended |= self.stage == AnswerStage::Whole;
        let mut bytes = self.masked_bytes(raw.bytes);
        if hides_usage && signs.is_usage_only {
            bytes = Bytes::new();
            signs.is_usage_only = false;
        }
        Ok(Some(PassedPiece { bytes, signs }))
    }

    /// Puts a piece of `came` behind the others, as a part of the last one where both show content and nothing else.
    fn push_piece(&mut self, piece: PassedPiece, came: &Bytes) {
        if let Some(Ok(last)) = self.ready.back_mut()
            && last.signs.is_plain_content()
            && piece.signs.is_plain_content()
            && let Some(joined) = joined_part(came, &last.bytes, &piece.bytes)
        {
            last.bytes = joined;
            last.signs.answered_bytes += piece.signs.answered_bytes;
            return;
        }
        self.ready.push_back(Ok(piece));
    }

    /// The bytes as they came, unless they hold a key of ours: no sandbox is to read one.
    fn masked_bytes(&self, bytes: Bytes) -> Bytes {
        let masked = match std::str::from_utf8(&bytes) {
            Ok(text) => match self.body.watch.mask.mask_text(text) {
                Cow::Owned(masked) => masked,
                Cow::Borrowed(_) => return bytes,
            },
            Err(_) => return bytes,
        };
        masked.into()
    }

    /// What comes with the end of a whole answer belongs to it.
    fn append_tail(&mut self) {
        if self.stage == AnswerStage::Whole {
            let tail = self.decoder.take_open_bytes();
            self.append_bytes(&tail);
        }
    }

    fn append_bytes(&mut self, tail: &[u8]) {
        if let Some(Ok(last)) = self.ready.back_mut()
            && !tail.is_empty()
        {
            last.bytes = [&last.bytes[..], tail].concat().into();
        }
    }

    fn judge(
        &self,
        read: Result<SignsOrFailure, serde_json::Error>,
    ) -> Result<AnswerSigns, UpstreamError> {
        match read {
            Ok(Ok(signs)) => Ok(signs),
            Ok(Err(failure)) => Err(UpstreamError::from_reported(
                &failure,
                &self.body.watch.mask,
            )),
            Err(error) => Err(UpstreamError::Malformed(MalformedAnswer::Event(error))),
        }
    }

    /// The bytes are over. Only a chat stream may leave its closing line out, once it said why it ends.
    fn end_body(&mut self) -> Result<(), UpstreamError> {
        let whole = AnswerStage::Whole;
        let piece = match self.form {
            PassedForm::Whole => {
                let body = std::mem::take(&mut self.whole_body);
                PassedPiece {
                    signs: self.judge(read_whole(self.dialect, &body))?,
                    bytes: self.masked_bytes(body.into()),
                }
            }
            PassedForm::Streamed { .. }
                if self.dialect == Dialect::ChatCompletions
                    && self.stage == AnswerStage::Ending =>
            {
                PassedPiece {
                    bytes: self.decoder.take_open_bytes(),
                    signs: AnswerSigns {
                        stage: whole,
                        ..AnswerSigns::default()
                    },
                }
            }
            PassedForm::Streamed { .. } => return Err(UpstreamError::Cut),
        };
        self.stage = whole;
        self.ended = true;
        self.ready.push_back(Ok(piece));
        Ok(())
    }
}

/// `first` and `second` as one part of `all`, where one follows the other in it.
fn joined_part(all: &Bytes, first: &Bytes, second: &Bytes) -> Option<Bytes> {
    let place = |part: &Bytes| part.as_ptr().addr().checked_sub(all.as_ptr().addr());
    let (begin, middle) = (place(first)?, place(second)?);
    let end = middle + second.len();
    let follows = begin + first.len() == middle && end <= all.len();
    follows.then(|| all.slice(begin..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_follow_each_other_are_joined() {
        let all = Bytes::from_static(b"abcdef");
        let other = Bytes::copy_from_slice(b"cd");
        let part = |range: std::ops::Range<usize>| all.slice(range);
        let joined = joined_part(&all, &part(0..2), &part(2..4));
        assert_eq!(joined.as_deref(), Some(&b"abcd"[..]));
        for (first, second) in [
            (part(0..2), part(3..4)),
            (part(2..4), part(0..2)),
            (part(0..2), other.clone()),
            (other, part(2..4)),
        ] {
            assert_eq!(joined_part(&all, &first, &second), None);
        }
    }
}
