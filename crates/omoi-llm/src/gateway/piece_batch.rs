//! Pieces of an answer that came together go on together.
//!
//! Each piece costs its caller a chunk, a write and a read. A model that says a token now and then is passed on
//! token by token; many answers at once pile up while others have their turn, and what piled up goes in one go.

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, StreamExt as _};

use crate::upstream::{AnswerStream, PassedPiece, UpstreamError};

/// Bytes that go on at the latest, whatever more is there.
const BATCH_BYTES_MAX: usize = 16 * 1024;

/// Bytes for the caller that are not handed over yet.
#[derive(Default)]
pub(super) struct PieceBatch {
    first: Bytes,
    /// The first with those behind it, where there are any.
    joined: BytesMut,
}

impl PieceBatch {
    /// Adds bytes behind the others.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if self.joined.is_empty() {
            self.joined
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&bytes);
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// Takes all of it out.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        match self.joined.is_empty() {
            true => std::mem::take(&mut self.first),
            false => self.joined.split().freeze(),
        }
    }

    /// The next piece, where it can still join this batch: the batch has begun and has room, and the piece is
    /// there once others had a turn.
    pub(super) async fn next_joining(
        &self,
        pieces: &mut AnswerStream<PassedPiece>,
    ) -> Option<Option<Result<PassedPiece, UpstreamError>>> {
        if self.len() == 0 || self.len() >= BATCH_BYTES_MAX {
            return None;
        }
        if let Some(piece) = pieces.next().now_or_never() {
            return Some(piece);
        }
        tokio::task::yield_now().await;
        pieces.next().now_or_never()
    }
}

#[cfg(test)]
mod tests {
    use futures::{Stream, stream};

    use super::*;
    use crate::wire::answer_signs::AnswerSigns;

    fn answer(
        pieces: impl Stream<Item = &'static [u8]> + Send + 'static,
    ) -> AnswerStream<PassedPiece> {
        AnswerStream::new(pieces.map(|bytes| {
            Ok(PassedPiece {
                bytes: Bytes::from_static(bytes),
                signs: AnswerSigns::default(),
            })
        }))
    }

    /// What goes on in one go after the first piece.
    async fn batch_of(pieces: &mut AnswerStream<PassedPiece>) -> Bytes {
        let mut batch = PieceBatch::default();
        if let Some(Ok(piece)) = pieces.next().await {
            batch.push(piece.bytes);
        }
        while let Some(Some(Ok(piece))) = batch.next_joining(pieces).await {
            batch.push(piece.bytes);
        }
        batch.take_bytes()
    }

    #[tokio::test]
    async fn pieces_go_on_with_those_that_are_there() {
        let there = stream::iter([&b"a"[..], b"", b"b", b"c"]);
        let mut pieces = answer(there.chain(stream::pending()));
        assert_eq!(batch_of(&mut pieces).await, "abc");

        static LARGE: [u8; BATCH_BYTES_MAX] = [b'x'; BATCH_BYTES_MAX];
        let mut pieces = answer(stream::iter([&b"a"[..], &LARGE, b"b"]));
        assert_eq!(batch_of(&mut pieces).await.len(), 1 + BATCH_BYTES_MAX);
        assert_eq!(batch_of(&mut pieces).await, "b");
    }

    #[tokio::test]
    async fn others_have_a_turn_before_a_batch_ends() {
        let (more, rest) = futures::channel::mpsc::unbounded();
        let mut pieces = answer(stream::iter([&b"a"[..]]).chain(rest));
        let late = async {
            let _ = more.unbounded_send(&b"b"[..]);
        };
        let (batch, ()) = tokio::join!(batch_of(&mut pieces), late);
        assert_eq!(batch, "ab");
    }
}
