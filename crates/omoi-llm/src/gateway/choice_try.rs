//! One model of a question, from the reservation of its cost to the record.

mod forwarded_answer;

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;

use omoi_domain::model_fallback::FallbackClass;

use self::forwarded_answer::AnswerEnd;
use super::GatewayShared;
use super::caller_ask::RoutedAsk;
use super::choice_failure::ChoiceFailure;
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::{PING_EVERY, StreamReply};
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::llm_client::{AskError, QuestionTally, UpstreamQuestion as _};
use crate::meter::{CallOutcome, ModelCaller, ReserveError};
use crate::metered_call::{CallRequest, FailureWriter, MeteredCall};
use crate::retry::CallAllowance;
use crate::route::RouteChoice;
use crate::upstream::{AnswerStream, PassedPiece, UpstreamError};
use crate::wire::answer_signs::{AnswerStage, DeclinedWords};
use crate::wire::dialect::Dialect;

/// When a caller hears the first ping though no try has failed, and so the head of its answer.
const FIRST_PING_AFTER: Duration = Duration::from_secs(10);

/// One model that is asked.
pub(super) struct ChoiceTry<'a> {
    pub(super) shared: &'a GatewayShared,
    pub(super) caller: &'a ModelCaller,
    pub(super) dialect: Dialect,
    pub(super) streams: bool,
    /// How long it is tried again.
    pub(super) time: Duration,
    pub(super) ask: RoutedAsk<'a>,
}

/// The tries of one model.
struct ChoiceTries<'a, 'w> {
    tally: QuestionTally,
    failed: mpsc::Receiver<FailedTry>,
    writer: &'a mut FailureWriter<'w>,
}

/// What became of a question to one model.
pub(super) enum TriedChoice {
    /// The caller has its answer.
    Answered,
    /// The caller is gone, or its answer ended in the middle or is withheld.
    Ended,
    /// There is no answer, and another model may be asked.
    Failed(ChoiceFailure),
}

impl ChoiceTry<'_> {
    /// Reserves the cost and asks.
    pub(super) async fn ask_model(
        &self,
        reply: &mut StreamReply,
        writer: &mut FailureWriter<'_>,
    ) -> TriedChoice {
        let GatewayShared { llm, meter, .. } = self.shared;
        let asked = CallRequest {
            route: self.ask.route,
            size: self.ask.request_size(),
        };
        let reserved = MeteredCall::reserve_call(llm, self.caller, meter.as_ref(), asked);
        let metered = match reserved.await {
            Ok(metered) => metered,
            Err(error) => return TriedChoice::Failed(unreserved_choice(&error)),
        };
        let allowance = CallAllowance::within_time(llm.pace.now(), self.time);
        let tally = QuestionTally::new(allowance).reserved_by(metered.call_reservation());
        let (tally, failed) = tally.with_failures();
        let mut tries = ChoiceTries {
            tally,
            failed,
            writer,
        };
        match self.streams {
            true => self.answer_streamed(reply, metered, &mut tries).await,
            false => self.answer_whole(reply, metered, &mut tries).await,
        }
    }

    async fn answer_whole(
        &self,
        reply: &mut StreamReply,
        metered: MeteredCall<'_>,
        tries: &mut ChoiceTries<'_, '_>,
    ) -> TriedChoice {
        let ChoiceTries {
            tally,
            failed,
            writer,
        } = tries;
        let whole = {
            let mut whole = pin!(self.collect_whole(tally));
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            loop {
                tokio::select! {
                    whole = &mut whole => break Some(whole),
                    Some(failed) = failed.recv() => writer.note_failure(failed),
                    () = writer.write_next_failure() => {}
                    () = reply.caller_gone() => break None,
                }
            }
        };
        writer.write_remaining(failed).await;
        let body = match whole {
            None => {
                tracing::debug!(route = %self.ask.route.name, "The agent went away before its answer");
                let _ = metered.record_outcome(tally, CallOutcome::Abandoned).await;
                return TriedChoice::Ended;
            }
            Some(Err(failure)) => {
                let _ = metered.record_outcome(tally, CallOutcome::Failed).await;
                return TriedChoice::Failed(self.failed_choice(&failure, tally));
            }
            Some(Ok(body)) => body,
        };
        let kept = metered.wait_kept().await;
        let recorded = metered.record_outcome(tally, CallOutcome::Complete).await;
        match kept.is_ok().then_some(recorded) {
            Some(Ok(())) => {
                reply.send_whole(GatewayReply::whole_answer(body));
                TriedChoice::Answered
            }
            Some(Err(_)) | None => {
                let withheld = GatewayRefusal::withheld_answer();
                reply.send_whole(withheld.into_reply(self.dialect));
                TriedChoice::Ended
            }
        }
    }

    /// The answer as one body. It begins only when it is whole, so that a cut one is asked for again.
    async fn collect_whole(&self, tally: &mut QuestionTally) -> Result<Bytes, AskError> {
        let llm = &self.shared.llm;
        let mut pieces = llm.begin_answer(self.ask, tally, &mut 0).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(AskError::Failed)?;
            tally.count_item(&piece);
            if piece.signs.stage == AnswerStage::Whole {
                return Ok(piece.bytes);
            }
        }
        Err(AskError::Failed(UpstreamError::Cut))
    }

    async fn answer_streamed(
        &self,
        reply: &mut StreamReply,
        metered: MeteredCall<'_>,
        tries: &mut ChoiceTries<'_, '_>,
    ) -> TriedChoice {
        let begun = self.await_begin(reply, tries).await;
        let ChoiceTries {
            tally,
            failed,
            writer,
        } = tries;
        let pieces = match begun {
            Some(Ok(pieces)) => pieces,
            Some(Err(failure)) => {
                writer.write_remaining(failed).await;
                let _ = metered.record_outcome(tally, CallOutcome::Failed).await;
                return TriedChoice::Failed(self.failed_choice(&failure, tally));
            }
            None => {
                tracing::debug!(route = %self.ask.route.name, "The agent went away before its answer began");
                writer.write_remaining(failed).await;
                let _ = metered.record_outcome(tally, CallOutcome::Abandoned).await;
                return TriedChoice::Ended;
            }
        };
        if let Err(error) = metered.wait_kept().await {
            writer.write_remaining(failed).await;
            let _ = metered.record_outcome(tally, CallOutcome::Abandoned).await;
            return TriedChoice::Failed(unreserved_choice(&error));
        }
        let events = reply.begin_events();
        // The answer does not wait for what failed before it to be written down.
        let forwarded = self.forward_pieces(pieces, &events, tally);
        let (end, ()) = futures::join!(forwarded, writer.write_remaining(failed));
        let AnswerEnd {
            outcome,
            last,
            declined,
        } = end;
        let recorded = metered.record_outcome(tally, outcome).await;
        let tried = match (&recorded, outcome) {
            (Ok(()), CallOutcome::Complete) => TriedChoice::Answered,
            _ => TriedChoice::Ended,
        };
        let last = match (recorded, outcome) {
            (Err(_), CallOutcome::Complete | CallOutcome::Declined) => {
                vec![GatewayRefusal::withheld_answer().into_event(self.dialect)]
            }
            (Ok(()), CallOutcome::Declined) => {
                return TriedChoice::Failed(ChoiceFailure {
                    is_shown: true,
                    ..self.declined_choice(&self.masked_words(&declined))
                });
            }
            _ => last,
        };
        for bytes in last {
            if !events.send_bytes(bytes, &self.shared.llm.pace).await {
                break;
            }
        }
        tried
    }

    /// Waits for the answer to begin; none when the caller goes away. From the first failed try on, or
    /// when the model is slow, it hears a ping now and then, so that waiting is no silence.
    async fn await_begin(
        &self,
        reply: &mut StreamReply,
        tries: &mut ChoiceTries<'_, '_>,
    ) -> Option<Result<AnswerStream<PassedPiece>, AskError>> {
        let llm = &self.shared.llm;
        let mut n_failed = 0;
        let mut begun = pin!(llm.begin_answer(self.ask, &mut tries.tally, &mut n_failed));
        let mut next_ping = llm.pace.expire(FIRST_PING_AFTER);
        loop {
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            tokio::select! {
                begun = &mut begun => return Some(begun),
                Some(failed) = tries.failed.recv() => {
                    let is_last = failed.next_at.is_none();
                    tries.writer.note_failure(failed);
                    if is_last {
                        continue;
                    }
                }
                () = tries.writer.write_next_failure() => continue,
                () = &mut next_ping => {}
                () = reply.caller_gone() => return None,
            }
            next_ping = llm.pace.expire(PING_EVERY);
            if !reply.begin_events().send_ping(&llm.pace).await {
                return None;
            }
        }
    }

    fn masked_words(&self, declined: &DeclinedWords) -> String {
        let words = declined.declined_text().unwrap_or_default();
        self.shared.llm.mask_words(words)
    }

    /// The model declines with `words`.
    fn declined_choice(&self, words: &str) -> ChoiceFailure {
        let RouteChoice { name, .. } = self.ask.route;
        let model = &self.shared.llm.routes.route_at(self.ask.route).model;
        ChoiceFailure {
            class: Some(FallbackClass::Declined),
            is_known: false,
            is_shown: false,
            refusal: GatewayRefusal::model_declined(model, name, words),
        }
    }

    fn failed_choice(&self, failure: &AskError, tally: &QuestionTally) -> ChoiceFailure {
        self.warn_failure(failure, tally);
        if let Some(UpstreamError::Declined { words }) = failure.upstream_error() {
            return self.declined_choice(words);
        }
        ChoiceFailure {
            class: failure.fallback_class(),
            is_known: false,
            is_shown: false,
            refusal: GatewayRefusal::of_failure(failure),
        }
    }

    /// The caller hears less than the operator: what lies under a failure can name addresses.
    fn warn_failure(&self, error: &dyn std::error::Error, tally: &QuestionTally) {
        let purpose = self.caller.principal.purpose;
        let attempt = purpose.attempt().map(|id| id.to_string());
        tracing::warn!(
            error = %ErrorChain(error), attempt.id = attempt, route = %self.ask.route.name,
            calls = tally.calls, "A model call failed"
        );
    }
}

/// What becomes of a model whose cost could not be reserved.
fn unreserved_choice(error: &ReserveError) -> ChoiceFailure {
    let is_refused = matches!(error, ReserveError::Refused { .. });
    ChoiceFailure {
        class: is_refused.then_some(FallbackClass::OverBudget),
        is_known: false,
        is_shown: false,
        refusal: GatewayRefusal::of_budget(error),
    }
}
