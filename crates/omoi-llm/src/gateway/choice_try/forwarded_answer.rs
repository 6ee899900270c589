//! An answer on its way to its caller, whose beginning it has seen.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;

use super::ChoiceTry;
use crate::gateway::piece_batch::PieceBatch;
use crate::gateway::refusal::GatewayRefusal;
use crate::gateway::stream_reply::{EventSender, PING_EVERY};
use crate::llm_client::QuestionTally;
use crate::meter::CallOutcome;
use crate::upstream::{AnswerStream, PassedPiece, UpstreamError};
use crate::wire::answer_signs::{AnswerStage, DeclinedWords};

/// How long an answer under way may be quiet before its caller hears a ping.
const QUIET_PING_AFTER: Duration = Duration::from_secs(30);

/// How an answer ended whose beginning its caller saw.
pub(super) struct AnswerEnd {
    pub(super) outcome: CallOutcome,
    /// The pieces that say so.
    pub(super) last: Vec<Bytes>,
    pub(super) declined: DeclinedWords,
}

impl AnswerEnd {
    fn without_words(outcome: CallOutcome) -> Self {
        Self {
            outcome,
            last: Vec::new(),
            declined: DeclinedWords::default(),
        }
    }
}

impl ChoiceTry<'_> {
    /// Passes the answer on until it ends; gives how it ended and the pieces that say so, held back
    /// until the cost is recorded.
    pub(super) async fn forward_pieces(
        &self,
        mut pieces: AnswerStream<PassedPiece>,
        events: &EventSender,
        tally: &mut QuestionTally,
    ) -> AnswerEnd {
        let pace = &self.shared.llm.pace;
        let mut last: Vec<Bytes> = Vec::new();
        let mut declined = DeclinedWords::default();
        let mut batch = PieceBatch::default();
        let mut heard_at = pace.now();
        let mut next_ping = pace.expire(QUIET_PING_AFTER);
        let ended = loop {
            let joining = batch.next_joining(&mut pieces).await;
            if joining.is_none() && !events.send_bytes(batch.take_bytes(), pace).await {
                return AnswerEnd::without_words(CallOutcome::Abandoned);
            }
            let piece = match joining {
                Some(piece) => piece,
                // Cancel-safe: a piece that was not taken stays in the stream, which is dropped with us.
                None => tokio::select! {
                    piece = pieces.next() => piece,
                    () = events.caller_gone() => {
                        tracing::debug!(route = %self.ask.route.name, "The agent went away in the middle of its answer");
                        return AnswerEnd::without_words(CallOutcome::Abandoned);
                    }
                    () = &mut next_ping => {
                        let quiet = pace.now().since(heard_at);
                        next_ping = pace.expire(QUIET_PING_AFTER.saturating_sub(quiet).max(PING_EVERY));
                        if quiet >= QUIET_PING_AFTER && !events.send_ping(pace).await {
                            return AnswerEnd::without_words(CallOutcome::Abandoned);
                        }
                        continue;
                    }
                },
            };
            heard_at = pace.now();
            match piece {
                Some(Ok(piece)) => {
                    tally.count_signs(&piece.signs);
                    declined.add_signs(&piece.signs);
                    let stage = piece.signs.stage;
                    if stage >= AnswerStage::Ending || !last.is_empty() {
                        last.push(piece.bytes);
                    } else {
                        batch.push(piece.bytes);
                    }
                    if stage == AnswerStage::Whole {
                        let outcome = match declined.declined_text() {
                            Some(_) => CallOutcome::Declined,
                            None => CallOutcome::Complete,
                        };
                        break AnswerEnd {
                            outcome,
                            last,
                            declined,
                        };
                    }
                }
                Some(Err(error)) => break self.cut_answer(&error, tally),
                None => break self.cut_answer(&UpstreamError::Cut, tally),
            }
        };
        match events.send_bytes(batch.take_bytes(), pace).await {
            true => ended,
            false => AnswerEnd::without_words(CallOutcome::Abandoned),
        }
    }

    fn cut_answer(&self, error: &UpstreamError, tally: &QuestionTally) -> AnswerEnd {
        self.warn_failure(error, tally);
        let refusal = GatewayRefusal::of_upstream(error);
        AnswerEnd {
            last: vec![refusal.into_event(self.dialect)],
            ..AnswerEnd::without_words(CallOutcome::Cut)
        }
    }
}
