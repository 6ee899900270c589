//! One question through the gateway, from its reservation to the record of its cost.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::HeaderMap;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use omoi_domain::model_route::RouteName;

use super::caller_ask::{CallerAsk, RoutedAsk, event_bytes, name_route, outgoing_headers};
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::StreamReply;
use super::{GatewayShared, ModelGateway};
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::llm_client::{AskError, QuestionTally, UpstreamQuestion as _};
use crate::meter::{CallOutcome, ModelCaller};
use crate::metered_call::{CallRequest, FailureWriter, MeteredCall};
use crate::retry::CallAllowance;
use crate::upstream::{AnswerStream, PassedPiece, UpstreamError};
use crate::wire::answer_signs::AnswerStage;
use crate::wire::anthropic::{BareEvent, StreamEvent};
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;

/// When a caller hears the first ping though no try has failed, and so the head of its answer.
const FIRST_PING_AFTER: Duration = Duration::from_secs(10);
/// Time between two pings to a caller that waits for its answer to begin.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long an answer under way may be quiet before its caller hears a ping.
const QUIET_PING_AFTER: Duration = Duration::from_secs(30);
/// How long a caller may take in nothing before it counts as gone.
const CALLER_STALL_MAX: Duration = Duration::from_mins(1);

impl ModelGateway {
    /// Answers `asked`, whose text is `body`.
    ///
    /// # Errors
    /// Refuses a question that cannot be put to its model, or for which there is no room.
    pub(super) async fn answer_question(
        &self,
        caller: &ModelCaller,
        request: &super::GatewayRequest,
        asked: RawRequest,
    ) -> Result<GatewayReply, GatewayRefusal> {
        let Ok(slot) = Arc::clone(&self.question_slots).try_acquire_owned() else {
            tracing::warn!(
                n_max = super::QUESTIONS_MAX,
                "Refused a question: too many are under way"
            );
            let says = format!(
                "{} questions are under way, the most that are allowed",
                super::QUESTIONS_MAX
            );
            return Err(GatewayRefusal::no_room(says));
        };
        let routes = &self.shared.llm.routes;
        let (dialect, turn) = (asked.dialect, asked.turn);
        let route = routes.route_for_model(&asked.model);
        let target = routes.route_named(route);
        let simulated = target.simulated;
        let ask = CallerAsk::for_upstream(asked, target.dialect, &request.body)?;
        let mut headers = outgoing_headers(caller, turn, target, &request.headers);
        if simulated {
            name_route(&mut headers, route);
        }
        let question = GatewayQuestion {
            shared: Arc::clone(&self.shared),
            user: user_of(caller),
            caller: caller.clone(),
            route,
            dialect,
            headers,
            ask,
            _slot: slot,
        };
        let (answer, answered) = oneshot::channel();
        self.spawn_question(question.run_question(answer));
        let reply = answered.await.unwrap_or_else(|_| {
            // It panicked, and was logged.
            let says = "the question ended without an answer";
            GatewayRefusal::internal_failure(says).into_reply(dialect)
        });
        Ok(reply.mark_simulated(simulated))
    }
}

/// What stands for the user of `caller` at a provider.
fn user_of(caller: &ModelCaller) -> String {
    let principal = caller.principal;
    let attempt = principal.purpose.attempt().map(|id| id.to_string());
    attempt.unwrap_or_else(|| principal.spec.to_string())
}

/// Keeps a caller that waits from taking silence for an end: an event where the dialect has one, else a
/// comment.
fn ping_bytes(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::Messages => event_bytes(&StreamEvent::Ping(BareEvent::default())),
        Dialect::ChatCompletions | Dialect::Responses => {
            Bytes::from_static(b": waiting for the model\n\n")
        }
    }
}

/// The tries of one question.
struct QuestionTries<'a> {
    tally: QuestionTally,
    failures: mpsc::Receiver<FailedTry>,
    failure_writer: FailureWriter<'a>,
}

struct GatewayQuestion {
    shared: Arc<GatewayShared>,
    caller: ModelCaller,
    user: String,
    route: RouteName,
    dialect: Dialect,
    headers: HeaderMap,
    ask: CallerAsk,
    _slot: OwnedSemaphorePermit,
}

impl GatewayQuestion {
    async fn run_question(self, answer: oneshot::Sender<GatewayReply>) {
        let GatewayShared { llm, meter } = &*self.shared;
        let asked = CallRequest {
            route: self.route,
            size: self.routed_ask().request_size(),
        };
        let metered =
            match MeteredCall::reserve_call(llm, &self.caller, meter.as_ref(), asked).await {
                Ok(metered) => metered,
                Err(refusal) => {
                    let refusal = GatewayRefusal::of_budget(&refusal);
                    let _ = answer.send(refusal.into_reply(self.dialect));
                    return;
                }
            };
        let allowance = CallAllowance::within_time(llm.pace.now(), llm.retry_time);
        let (tally, failures) = QuestionTally::new(allowance).with_failures();
        let mut tries = QuestionTries {
            tally,
            failures,
            failure_writer: FailureWriter::new(&self.caller, meter.as_ref()),
        };
        if self.ask.is_streamed() {
            self.answer_streamed(answer, metered, &mut tries).await;
        } else {
            self.answer_whole(answer, metered, &mut tries).await;
        }
    }

    async fn answer_whole(
        &self,
        mut answer: oneshot::Sender<GatewayReply>,
        metered: MeteredCall<'_>,
        tries: &mut QuestionTries<'_>,
    ) {
        let QuestionTries {
            tally,
            failures,
            failure_writer,
        } = tries;
        let whole = {
            let mut whole = pin!(self.collect_whole(tally));
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            loop {
                tokio::select! {
                    whole = &mut whole => break Some(whole),
                    Some(failed) = failures.recv() => failure_writer.note_failure(failed),
                    () = failure_writer.write_next_failure() => {}
                    () = answer.closed() => break None,
                }
            }
        };
        failure_writer.write_remaining(failures).await;
        let (reply, outcome) = match whole {
            None => {
                tracing::debug!(route = %self.route, "The agent went away before its answer");
                (None, CallOutcome::Abandoned)
            }
            Some(Err(refusal)) => (Some(refusal.into_reply(self.dialect)), CallOutcome::Failed),
            Some(Ok(body)) => (
                Some(GatewayReply::whole_answer(body)),
                CallOutcome::Complete,
            ),
        };
        let recorded = metered.record_outcome(tally, outcome).await;
        let reply = match (recorded, outcome) {
            (_, CallOutcome::Failed) if failure_writer.save_attempt().await => {
                Some(GatewayRefusal::superseded_attempt().into_reply(self.dialect))
            }
            (Err(_), CallOutcome::Complete) => {
                Some(GatewayRefusal::withheld_answer().into_reply(self.dialect))
            }
            _ => reply,
        };
        if let Some(reply) = reply {
            let _ = answer.send(reply);
        }
    }

    /// The answer as one body. It begins only when it is whole, so that a cut one is asked for again.
    async fn collect_whole(&self, tally: &mut QuestionTally) -> Result<Bytes, GatewayRefusal> {
        let llm = &self.shared.llm;
        let begun = llm.begin_answer(self.routed_ask(), tally, &mut 0).await;
        let mut pieces = match begun {
            Ok(pieces) => pieces,
            Err(failure) => return Err(self.refuse_failure(&failure, tally)),
        };
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    tally.count_item(&piece);
                    if piece.signs.stage == AnswerStage::Whole {
                        return Ok(piece.bytes);
                    }
                }
                Err(error) => return Err(self.refuse_upstream(&error, tally)),
            }
        }
        Err(self.refuse_upstream(&UpstreamError::Cut, tally))
    }

    async fn answer_streamed(
        &self,
        answer: oneshot::Sender<GatewayReply>,
        metered: MeteredCall<'_>,
        tries: &mut QuestionTries<'_>,
    ) {
        let mut reply = StreamReply::new(self.dialect, answer);
        let begun = self.await_begin(&mut reply, tries).await;
        let QuestionTries {
            tally,
            failures,
            failure_writer,
        } = tries;
        let pieces = match begun {
            Some(Ok(pieces)) => pieces,
            Some(Err(failure)) => {
                failure_writer.write_remaining(failures).await;
                let _ = metered.record_outcome(tally, CallOutcome::Failed).await;
                let refusal = match failure_writer.save_attempt().await {
                    true => GatewayRefusal::superseded_attempt(),
                    false => self.refuse_failure(&failure, tally),
                };
                if let Some(lines) = reply.refuse_answer(&refusal) {
                    self.send_bytes(&lines, refusal.into_event(self.dialect))
                        .await;
                }
                return;
            }
            None => {
                tracing::debug!(route = %self.route, "The agent went away before its answer began");
                failure_writer.write_remaining(failures).await;
                let _ = metered.record_outcome(tally, CallOutcome::Abandoned).await;
                return;
            }
        };
        let lines = reply.begin_events();
        // The answer does not wait for what failed before it to be written down.
        let forwarded = self.forward_pieces(pieces, &lines, tally);
        let ((outcome, last), ()) =
            futures::join!(forwarded, failure_writer.write_remaining(failures));
        let last = match (metered.record_outcome(tally, outcome).await, outcome) {
            (Err(_), CallOutcome::Complete) => {
                vec![GatewayRefusal::withheld_answer().into_event(self.dialect)]
            }
            _ => last,
        };
        for bytes in last {
            if !self.send_bytes(&lines, bytes).await {
                return;
            }
        }
    }

    /// Waits for the answer to begin; none when the caller goes away. From the first failed try on, or
    /// when the model is slow, it hears a ping now and then, so that waiting is no silence.
    async fn await_begin(
        &self,
        reply: &mut StreamReply,
        tries: &mut QuestionTries<'_>,
    ) -> Option<Result<AnswerStream<PassedPiece>, AskError>> {
        let llm = &self.shared.llm;
        let mut failures = 0;
        let mut begun = pin!(llm.begin_answer(self.routed_ask(), &mut tries.tally, &mut failures));
        let mut next_ping = llm.pace.expire(FIRST_PING_AFTER);
        loop {
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            tokio::select! {
                begun = &mut begun => return Some(begun),
                Some(failed) = tries.failures.recv() => {
                    let is_last = failed.next_at.is_none();
                    tries.failure_writer.note_failure(failed);
                    if is_last {
                        continue;
                    }
                }
                () = tries.failure_writer.write_next_failure() => continue,
                () = &mut next_ping => {}
                () = reply.caller_gone() => return None,
            }
            next_ping = llm.pace.expire(PING_EVERY);
            let lines = reply.begin_events();
            if !self.send_bytes(&lines, ping_bytes(self.dialect)).await {
                return None;
            }
        }
    }

    /// Passes the answer on until it ends; gives how it ended and the pieces that say so, held back
    /// until the cost is recorded.
    async fn forward_pieces(
        &self,
        mut pieces: AnswerStream<PassedPiece>,
        lines: &mpsc::Sender<Bytes>,
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
                () = lines.closed() => {
                    tracing::debug!(route = %self.route, "The agent went away in the middle of its answer");
                    return (CallOutcome::Abandoned, Vec::new());
                }
                () = &mut next_ping => {
                    let quiet = pace.now().since(heard_at);
                    next_ping = pace.expire(QUIET_PING_AFTER.saturating_sub(quiet).max(PING_EVERY));
                    if quiet >= QUIET_PING_AFTER && !self.send_bytes(lines, ping_bytes(self.dialect)).await {
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
                    } else if !self.send_bytes(lines, piece.bytes).await {
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
        let refusal = self.refuse_upstream(error, tally);
        (CallOutcome::Cut, vec![refusal.into_event(self.dialect)])
    }

    /// Hands some bytes to the caller; false when it is gone.
    async fn send_bytes(&self, lines: &mpsc::Sender<Bytes>, bytes: Bytes) -> bool {
        if bytes.is_empty() {
            return true;
        }
        // Mostly there is room, and nobody to wait for.
        let bytes = match lines.try_send(bytes) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(bytes)) => bytes,
        };
        // What is not handed over belongs to a caller that is gone.
        tokio::select! {
            sent = lines.send(bytes) => sent.is_ok(),
            () = self.shared.llm.pace.expire(CALLER_STALL_MAX) => {
                tracing::warn!(stall_s = CALLER_STALL_MAX.as_secs(), "An agent takes no more of its answer");
                false
            }
        }
    }

    fn refuse_failure(&self, failure: &AskError, tally: &QuestionTally) -> GatewayRefusal {
        self.warn_failure(failure, tally);
        GatewayRefusal::of_failure(failure)
    }

    fn refuse_upstream(&self, error: &UpstreamError, tally: &QuestionTally) -> GatewayRefusal {
        self.warn_failure(error, tally);
        GatewayRefusal::of_upstream(error)
    }

    /// The caller hears less than the operator: what lies under a failure can name addresses.
    fn warn_failure(&self, error: &dyn std::error::Error, tally: &QuestionTally) {
        let attempt = self
            .caller
            .principal
            .purpose
            .attempt()
            .map(|id| id.to_string());
        tracing::warn!(
            error = %ErrorChain(error), attempt.id = attempt, route = %self.route, calls = tally.calls,
            "A model call failed"
        );
    }

    fn routed_ask(&self) -> RoutedAsk<'_> {
        RoutedAsk {
            ask: &self.ask,
            route: self.route,
            headers: &self.headers,
            user: &self.user,
        }
    }
}
