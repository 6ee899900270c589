//! One model of a question, from the reservation of its cost to the record.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;

use omoi_domain::model_fallback::FallbackClass;

use super::GatewayShared;
use super::caller_ask::RoutedAsk;
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::{EventSender, PING_EVERY, StreamReply};
use crate::circuit::PassedTarget;
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::llm_client::{AskError, QuestionTally, UpstreamQuestion as _};
use crate::meter::{CallOutcome, ModelCaller, ReserveError};
use crate::metered_call::{CallRequest, FailureWriter, MeteredCall};
use crate::retry::CallAllowance;
use crate::route::ModelRoute;
use crate::upstream::{AnswerStream, PassedPiece, UpstreamError};
use crate::wire::answer_signs::AnswerStage;
use crate::wire::dialect::Dialect;

/// When a caller hears the first ping though no try has failed, and so the head of its answer.
const FIRST_PING_AFTER: Duration = Duration::from_secs(10);
/// How long an answer under way may be quiet before its caller hears a ping.
const QUIET_PING_AFTER: Duration = Duration::from_secs(30);

/// Why a model gave no answer, before the caller saw a word of it.
pub(super) struct ChoiceFailure {
    /// Why the next model is asked; none where it would fare no better.
    pub(super) class: Option<FallbackClass>,
    /// Whether an earlier question found it out.
    pub(super) is_known: bool,
    /// What the caller is told where no other model is left.
    pub(super) refusal: GatewayRefusal,
}

impl ChoiceFailure {
    /// The model at `target` is away, as an earlier question found out.
    pub(super) fn of_passed(target: &ModelRoute, passed: &PassedTarget) -> Self {
        let until = passed.until.time_of_day();
        Self {
            class: Some(passed.reason.class),
            is_known: true,
            refusal: GatewayRefusal::unavailable_now(format!(
                "`{}` did not answer an earlier question and is not asked until {until}",
                target.model
            )),
        }
    }

    /// The question cannot be put into the words of the model.
    pub(super) const fn unsaid_question(refusal: GatewayRefusal) -> Self {
        Self {
            class: Some(FallbackClass::Refused),
            is_known: false,
            refusal,
        }
    }
}

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

impl ChoiceTry<'_> {
    /// The failure of a model that cannot read as much, by what is known of it.
    pub(super) fn exceeds_window(&self) -> Option<ChoiceFailure> {
        let route = self.shared.llm.routes.route_at(self.ask.route);
        let size = self.ask.request_size();
        let (window, tokens) = (route.window_tokens?, size.read_estimate);
        // Where the caller names no bound, the provider fits the answer in. What is read is estimated, and callers
        // ask for all the room that is left: of a bound only a part counts, the provider knows the rest.
        let asked = size.answer_cap.filter(|_| route.has_shared_window());
        let answered = asked.map_or(0, |cap| u64::from(cap.min(route.max_tokens)));
        let answered = answered.min(window / 16);
        let words = match answered {
            0 => String::new(),
            _ => format!(" and may be answered with {answered}"),
        };
        (tokens.saturating_add(answered) > window).then(|| ChoiceFailure {
            class: Some(FallbackClass::WindowExceeded),
            is_known: false,
            refusal: GatewayRefusal::invalid_request(format!(
                "the request has about {tokens} tokens{words}, and `{}` reads {window}",
                route.model
            )),
        })
    }

    /// Reserves the cost and asks; none when the caller has its answer or is gone.
    pub(super) async fn ask_model(
        &self,
        reply: &mut StreamReply,
        writer: &mut FailureWriter<'_>,
    ) -> Option<ChoiceFailure> {
        let GatewayShared { llm, meter, .. } = self.shared;
        let asked = CallRequest {
            route: self.ask.route,
            size: self.ask.request_size(),
        };
        let reserved = MeteredCall::reserve_call(llm, self.caller, meter.as_ref(), asked);
        let metered = match reserved.await {
            Ok(metered) => metered,
            Err(error) => {
                let is_refused = matches!(error, ReserveError::Refused { .. });
                return Some(ChoiceFailure {
                    class: is_refused.then_some(FallbackClass::OverBudget),
                    is_known: false,
                    refusal: GatewayRefusal::of_budget(&error),
                });
            }
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
    ) -> Option<ChoiceFailure> {
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
                return None;
            }
            Some(Err(failure)) => {
                let _ = metered.record_outcome(tally, CallOutcome::Failed).await;
                return Some(self.failed_choice(&failure, tally));
            }
            Some(Ok(body)) => body,
        };
        let recorded = metered.record_outcome(tally, CallOutcome::Complete).await;
        reply.send_whole(match recorded {
            Ok(()) => GatewayReply::whole_answer(body),
            Err(_) => GatewayRefusal::withheld_answer().into_reply(self.dialect),
        });
        None
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
    ) -> Option<ChoiceFailure> {
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
                return Some(self.failed_choice(&failure, tally));
            }
            None => {
                tracing::debug!(route = %self.ask.route.name, "The agent went away before its answer began");
                writer.write_remaining(failed).await;
                let _ = metered.record_outcome(tally, CallOutcome::Abandoned).await;
                return None;
            }
        };
        let events = reply.begin_events();
        // The answer does not wait for what failed before it to be written down.
        let forwarded = self.forward_pieces(pieces, &events, tally);
        let ((outcome, last), ()) = futures::join!(forwarded, writer.write_remaining(failed));
        let last = match (metered.record_outcome(tally, outcome).await, outcome) {
            (Err(_), CallOutcome::Complete) => {
                vec![GatewayRefusal::withheld_answer().into_event(self.dialect)]
            }
            _ => last,
        };
        for bytes in last {
            if !events.send_bytes(bytes, &self.shared.llm.pace).await {
                break;
            }
        }
        None
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

    /// Passes the answer on until it ends; gives how it ended and the pieces that say so, held back
    /// until the cost is recorded.
    async fn forward_pieces(
        &self,
        mut pieces: AnswerStream<PassedPiece>,
        events: &EventSender,
        tally: &mut QuestionTally,
    ) -> (CallOutcome, Vec<Bytes>) {
        let pace = &self.shared.llm.pace;
        let mut last: Vec<Bytes> = Vec::new();
        let mut heard_at = pace.now();
        let mut next_ping = pace.expire(QUIET_PING_AFTER);
        loop {
            // Cancel-safe: a piece that was not taken stays in the stream, which is dropped with us.
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = events.caller_gone() => {
                    tracing::debug!(route = %self.ask.route.name, "The agent went away in the middle of its answer");
                    return (CallOutcome::Abandoned, Vec::new());
                }
                () = &mut next_ping => {
                    let quiet = pace.now().since(heard_at);
                    next_ping = pace.expire(QUIET_PING_AFTER.saturating_sub(quiet).max(PING_EVERY));
                    if quiet >= QUIET_PING_AFTER && !events.send_ping(pace).await {
                        return (CallOutcome::Abandoned, Vec::new());
                    }
                    continue;
                }
            };
            heard_at = pace.now();
            match piece {
                Some(Ok(piece)) => {
                    tally.count_item(&piece);
                    let stage = piece.signs.stage;
                    if stage >= AnswerStage::Ending || !last.is_empty() {
                        last.push(piece.bytes);
                    } else if !events.send_bytes(piece.bytes, pace).await {
                        return (CallOutcome::Abandoned, Vec::new());
                    }
                    if stage == AnswerStage::Whole {
                        return (CallOutcome::Complete, last);
                    }
                }
                Some(Err(error)) => return self.cut_answer(&error, tally),
                None => return self.cut_answer(&UpstreamError::Cut, tally),
            }
        }
    }

    fn cut_answer(
        &self,
        error: &UpstreamError,
        tally: &QuestionTally,
    ) -> (CallOutcome, Vec<Bytes>) {
        self.warn_failure(error, tally);
        let refusal = GatewayRefusal::of_upstream(error);
        (CallOutcome::Cut, vec![refusal.into_event(self.dialect)])
    }

    fn failed_choice(&self, failure: &AskError, tally: &QuestionTally) -> ChoiceFailure {
        self.warn_failure(failure, tally);
        ChoiceFailure {
            class: failure.fallback_class(),
            is_known: false,
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
