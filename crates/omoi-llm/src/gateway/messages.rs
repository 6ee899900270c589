//! One question through the gateway: `POST /v1/messages`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use omoi_domain::model_route::RouteName;

use super::reply::{self, GatewayReply};
use super::stream_reply::StreamReply;
use super::{GatewayShared, ModelGateway};
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::llm_client::{AskError, QuestionTally, RoutedRequest};
use crate::meter::{CallOutcome, ModelCaller};
use crate::metered_call::{FailureWriter, MeteredCall, RouteRequest};
use crate::retry::CallAllowance;
use crate::route::ModelRoute;
use crate::upstream::{EventStream, UpstreamError};
use crate::wire::anthropic::{BareEvent, MessagesErrorBody, MessagesRequest, StreamEvent};
use crate::wire::dialect::Dialect;
use crate::wire::{headers, sse};

/// Passed on to Anthropic: the version of the API that the request was written for.
const API_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// Passed on to Anthropic: it switches on what the request uses.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// When a caller hears the first ping though no try has failed. Clients of ours give up on a silent
/// gateway after 150 s.
const FIRST_PING_AFTER: Duration = Duration::from_secs(90);
/// Time between two pings to a caller that waits.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a caller may take in nothing before it counts as gone.
const CALLER_STALL_MAX: Duration = Duration::from_mins(1);

impl ModelGateway {
    pub(super) async fn answer_messages(
        &self,
        caller: &ModelCaller,
        request_headers: &HeaderMap,
        route: RouteName,
        request: MessagesRequest,
    ) -> GatewayReply {
        let Ok(place) = Arc::clone(&self.question_slots).try_acquire_owned() else {
            tracing::warn!(
                n_max = super::QUESTIONS_MAX,
                "Refused a question: too many are under way"
            );
            let says = format!(
                "{} questions are under way, the most that are allowed",
                super::QUESTIONS_MAX
            );
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return reply::error_reply(status, "overloaded_error", &says);
        };
        let (answer, answered) = oneshot::channel();
        let target = self.shared.llm.routes.route_named(route);
        let headers = outgoing_headers(caller, &request, target, request_headers);
        let simulated = target.simulated;
        let question = GatewayQuestion {
            shared: Arc::clone(&self.shared),
            caller: caller.clone(),
            route,
            headers,
            request,
            _slot: place,
        };
        self.spawn_question(question.run_question(answer));
        let reply = answered.await.unwrap_or_else(|_| {
            // It panicked, and was logged.
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            reply::error_reply(status, "api_error", "the question ended without an answer")
        });
        reply.mark_simulated(simulated)
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
    route: RouteName,
    headers: HeaderMap,
    request: MessagesRequest,
    _slot: OwnedSemaphorePermit,
}

impl GatewayQuestion {
    async fn run_question(self, answer: oneshot::Sender<GatewayReply>) {
        let GatewayShared { llm, meter } = &*self.shared;
        let asked = RouteRequest {
            route: self.route,
            request: &self.request,
        };
        let metered =
            match MeteredCall::reserve_call(llm, &self.caller, meter.as_ref(), asked).await {
                Ok(metered) => metered,
                Err(refusal) => {
                    let _ = answer.send(reply::refusal_reply(&refusal));
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
        if self.request.stream {
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
            let mut whole = pin!(
                self.shared
                    .llm
                    .complete_answer(self.routed_request(), tally)
            );
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
            Some(Err(failure)) => (
                Some(self.failure_reply(&failure, tally)),
                CallOutcome::Failed,
            ),
            Some(Ok(whole)) => match whole.broken_calls.first() {
                None => {
                    let reply = GatewayReply::json_body(StatusCode::OK, &whole.response);
                    (Some(reply), CallOutcome::Complete)
                }
                // A whole answer has no room for input that is not JSON; a stream has.
                Some(broken) => {
                    let (status, says) = (StatusCode::BAD_GATEWAY, broken.to_string());
                    (
                        Some(reply::error_reply(status, "api_error", &says)),
                        CallOutcome::Failed,
                    )
                }
            },
        };
        let recorded = metered.record_outcome(tally, outcome).await;
        let reply = match (recorded, outcome) {
            (Err(_), CallOutcome::Complete) => Some(reply::withheld_reply()),
            _ => reply,
        };
        if let Some(reply) = reply {
            let _ = answer.send(reply);
        }
    }

    async fn answer_streamed(
        &self,
        answer: oneshot::Sender<GatewayReply>,
        metered: MeteredCall<'_>,
        tries: &mut QuestionTries<'_>,
    ) {
        let mut reply = StreamReply::new(answer);
        let begun = self.await_begin(&mut reply, tries).await;
        let QuestionTries {
            tally,
            failures,
            failure_writer,
        } = tries;
        let events = match begun {
            Some(Ok(events)) => events,
            Some(Err(failure)) => {
                failure_writer.write_remaining(failures).await;
                let _ = metered.record_outcome(tally, CallOutcome::Failed).await;
                self.warn_failure(&failure, tally);
                if let Some(lines) = reply.refuse_answer(&failure) {
                    self.send_event(&lines, &reply::late_error_event(&failure))
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
        let forwarded = self.forward_events(events, &lines, tally);
        let ((outcome, last), ()) =
            futures::join!(forwarded, failure_writer.write_remaining(failures));
        let last = match (metered.record_outcome(tally, outcome).await, outcome) {
            (Err(_), CallOutcome::Complete) => {
                vec![error_event_of(reply::WITHHELD_KIND, reply::WITHHELD)]
            }
            _ => last,
        };
        for event in &last {
            if !self.send_event(&lines, event).await {
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
    ) -> Option<Result<EventStream, AskError>> {
        let llm = &self.shared.llm;
        let mut begun = pin!(llm.stream_answer(self.routed_request(), &mut tries.tally));
        let ping = StreamEvent::Ping(BareEvent::default());
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
            if !self.send_event(&lines, &ping).await {
                return None;
            }
        }
    }

    /// Passes events on until the answer ends; gives how it ended and the events that say so, held back
    /// until the cost is recorded.
    async fn forward_events(
        &self,
        mut events: EventStream,
        lines: &mpsc::Sender<Bytes>,
        tally: &mut QuestionTally,
    ) -> (CallOutcome, Vec<StreamEvent>) {
        let mut last = Vec::new();
        loop {
            // Cancel-safe: an event that was not taken stays in the stream, which is dropped with us.
            let event = tokio::select! {
                event = events.next() => event,
                () = lines.closed() => {
                    tracing::debug!(route = %self.route, "The agent went away in the middle of its answer");
                    return (CallOutcome::Abandoned, Vec::new());
                }
            };
            match event {
                Some(Ok(event)) => {
                    tally.count_event(&event);
                    let is_whole = matches!(event, StreamEvent::MessageStop(_));
                    let says_the_end = is_whole || matches!(event, StreamEvent::MessageDelta(_));
                    if says_the_end || !last.is_empty() {
                        last.push(event);
                    } else if !self.send_event(lines, &event).await {
                        return (CallOutcome::Abandoned, Vec::new());
                    }
                    if is_whole {
                        return (CallOutcome::Complete, last);
                    }
                }
                Some(Err(error)) => {
                    self.warn_failure(&error, tally);
                    return (CallOutcome::Cut, vec![error_event(&error)]);
                }
                None => return (CallOutcome::Cut, vec![error_event(&UpstreamError::Cut)]),
            }
        }
    }

    /// Hands one event to the caller; false when it is gone.
    async fn send_event(&self, lines: &mpsc::Sender<Bytes>, event: &StreamEvent) -> bool {
        let data = serde_json::to_string(event).unwrap_or_default();
        let line = Bytes::from(sse::encode_frame(Some(event.kind()), &data));
        // An event that is not handed over belongs to a caller that is gone.
        tokio::select! {
            sent = lines.send(line) => sent.is_ok(),
            () = self.shared.llm.pace.expire(CALLER_STALL_MAX) => {
                tracing::warn!(stall_s = CALLER_STALL_MAX.as_secs(), "An agent takes no more of its answer");
                false
            }
        }
    }

    fn failure_reply(&self, failure: &AskError, tally: &QuestionTally) -> GatewayReply {
        self.warn_failure(failure, tally);
        reply::failure_reply(failure)
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

    fn routed_request(&self) -> RoutedRequest<'_> {
        RoutedRequest {
            route: self.route,
            request: &self.request,
            headers: &self.headers,
        }
    }
}

fn error_event(error: &UpstreamError) -> StreamEvent {
    let seen = reply::failure_for_caller(error);
    error_event_of(&seen.kind, &seen.message)
}

fn error_event_of(kind: &str, message: &str) -> StreamEvent {
    let MessagesErrorBody { error, extra, .. } = MessagesErrorBody::new(kind, message);
    StreamEvent::Error(crate::wire::anthropic::StreamError { error, extra })
}

/// Headers for the upstream: who asks, for the simulated model alone, and what the caller switched on.
pub(crate) fn outgoing_headers(
    caller: &ModelCaller,
    request: &MessagesRequest,
    target: &ModelRoute,
    incoming: &HeaderMap,
) -> HeaderMap {
    let mut out = HeaderMap::new();
    if target.dialect == Dialect::Messages {
        for name in [API_VERSION, BETA] {
            for value in incoming.get_all(&name) {
                out.append(&name, value.clone());
            }
        }
    }
    if !target.simulated {
        return out;
    }
    if let Some(own) = incoming.get(headers::CLIENT) {
        out.insert(HeaderName::from_static(headers::CLIENT), own.clone());
    }
    let (round, turn) = (caller.round.to_string(), request.turn_number().to_string());
    let title = caller.title.as_deref().map(headers::percent_encode);
    for (name, value) in [
        (headers::ROLE, Some(caller.role.as_str())),
        (headers::PHASE, Some(caller.phase.as_str())),
        (headers::TASK, caller.task.as_deref()),
        (headers::TITLE, title.as_deref()),
        (headers::ROUND, Some(round.as_str())),
        (headers::TURN, Some(turn.as_str())),
    ] {
        // Roles, phases and ids are words of our own; one that cannot be a header matches nothing.
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            out.insert(HeaderName::from_static(name), value);
        }
    }
    out
}
