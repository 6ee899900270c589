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
use super::{Gateway, Shared};
use crate::ask::{Ask, AskError, Tally};
use crate::chain::Chain;
use crate::failed_try::FailedTry;
use crate::meter::{Caller, Outcome};
use crate::metered::{FailureTeller, Metered};
use crate::retry::Allowance;
use crate::route::{Provider, Route};
use crate::upstream::{EventStream, UpstreamError};
use crate::wire::anthropic::{Bare, ErrorBody, MessagesRequest, StreamEvent};
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
/// How long an asker may take in nothing before it counts as gone.
const ASKER_STALL_MAX: Duration = Duration::from_mins(1);

impl Gateway {
    pub(super) async fn messages(
        &self,
        caller: &Caller,
        request_headers: &HeaderMap,
        (route, request): (RouteName, MessagesRequest),
    ) -> GatewayReply {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let says = format!(
                "{} questions are under way, the most that are allowed",
                super::QUESTIONS_MAX
            );
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return reply::error(status, "overloaded_error", &says);
        };
        let (answer, answered) = oneshot::channel();
        let target = self.shared.llm.routes.get(route);
        let headers = outgoing(caller, &request, (target, request_headers));
        let simulated = target.simulated;
        let question = Question {
            shared: Arc::clone(&self.shared),
            caller: caller.clone(),
            route,
            headers,
            request,
            _place: place,
        };
        self.start(question.run(answer));
        let reply = answered.await.unwrap_or_else(|_| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            reply::error(status, "api_error", "the question ended without an answer")
        });
        reply.labelled(simulated)
    }
}

/// The tries of one question.
struct Tries<'a> {
    tally: Tally,
    failures: mpsc::Receiver<FailedTry>,
    teller: FailureTeller<'a>,
}

struct Question {
    shared: Arc<Shared>,
    caller: Caller,
    route: RouteName,
    headers: HeaderMap,
    request: MessagesRequest,
    _place: OwnedSemaphorePermit,
}

impl Question {
    async fn run(self, answer: oneshot::Sender<GatewayReply>) {
        let Shared { llm, meter } = &*self.shared;
        let about = (self.route, &self.request);
        let metered = match Metered::reserve(llm, &self.caller, meter.as_ref(), about).await {
            Ok(metered) => metered,
            Err(refusal) => {
                let _ = answer.send(reply::refused(&refusal));
                return;
            }
        };
        let allowance = Allowance::within(llm.pace.now(), llm.retry_time);
        let (tally, failures) = Tally::new(allowance).with_failures();
        let mut tries = Tries {
            tally,
            failures,
            teller: FailureTeller::new(&self.caller, meter.as_ref()),
        };
        if self.request.stream {
            self.stream(answer, metered, &mut tries).await;
        } else {
            self.whole(answer, metered, &mut tries).await;
        }
    }

    async fn whole(
        &self,
        mut answer: oneshot::Sender<GatewayReply>,
        metered: Metered<'_>,
        tries: &mut Tries<'_>,
    ) {
        let Tries {
            tally,
            failures,
            teller,
        } = tries;
        let whole = {
            let mut whole = pin!(self.shared.llm.complete(self.ask(), tally));
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            loop {
                tokio::select! {
                    whole = &mut whole => break Some(whole),
                    Some(failed) = failures.recv() => teller.note(failed),
                    () = teller.write_next() => {}
                    () = answer.closed() => break None,
                }
            }
        };
        teller.tell_rest(failures).await;
        let (reply, outcome) = match whole {
            None => (None, Outcome::Abandoned),
            Some(Err(failure)) => (Some(self.failed(&failure, tally)), Outcome::Failed),
            Some(Ok(whole)) => match whole.broken_calls.first() {
                None => {
                    let reply = GatewayReply::json(StatusCode::OK, &whole.response);
                    (Some(reply), Outcome::Complete)
                }
                // A whole answer has no room for input that is not JSON; a stream has.
                Some(broken) => {
                    let (status, says) = (StatusCode::BAD_GATEWAY, broken.to_string());
                    (
                        Some(reply::error(status, "api_error", &says)),
                        Outcome::Failed,
                    )
                }
            },
        };
        let recorded = metered.record(tally, outcome).await;
        let reply = match (recorded, outcome) {
            (Err(_), Outcome::Complete) => Some(reply::withheld()),
            _ => reply,
        };
        if let Some(reply) = reply {
            let _ = answer.send(reply);
        }
    }

    async fn stream(
        &self,
        answer: oneshot::Sender<GatewayReply>,
        metered: Metered<'_>,
        tries: &mut Tries<'_>,
    ) {
        let mut reply = StreamReply::new(answer);
        let begun = self.begun(&mut reply, tries).await;
        let Tries {
            tally,
            failures,
            teller,
        } = tries;
        let events = match begun {
            Some(Ok(events)) => events,
            Some(Err(failure)) => {
                teller.tell_rest(failures).await;
                let _ = metered.record(tally, Outcome::Failed).await;
                self.warn(&failure, tally);
                if let Some(lines) = reply.refuse(&failure) {
                    self.pass(&lines, &reply::late(&failure)).await;
                }
                return;
            }
            None => {
                teller.tell_rest(failures).await;
                let _ = metered.record(tally, Outcome::Abandoned).await;
                return;
            }
        };
        let lines = reply.begin();
        // The answer does not wait for what failed before it to be written down.
        let forwarded = self.forward(events, &lines, tally);
        let ((outcome, last), ()) = futures::join!(forwarded, teller.tell_rest(failures));
        let last = match (metered.record(tally, outcome).await, outcome) {
            (Err(_), Outcome::Complete) => {
                vec![error_event_of(reply::WITHHELD_KIND, reply::WITHHELD)]
            }
            _ => last,
        };
        for event in &last {
            if !self.pass(&lines, event).await {
                return;
            }
        }
    }

    /// Waits for the answer to begin; none when the caller goes away. From the first failed try on, or
    /// when the model is slow, it hears a ping now and then, so that waiting is no silence.
    async fn begun(
        &self,
        reply: &mut StreamReply,
        tries: &mut Tries<'_>,
    ) -> Option<Result<EventStream, AskError>> {
        let llm = &self.shared.llm;
        let mut begun = pin!(llm.stream(self.ask(), &mut tries.tally));
        let ping = StreamEvent::Ping(Bare::default());
        let mut next_ping = llm.pace.expire(FIRST_PING_AFTER);
        loop {
            // Dropping the question abandons the call; its tokens so far stay in the tally.
            tokio::select! {
                begun = &mut begun => return Some(begun),
                Some(failed) = tries.failures.recv() => {
                    let is_last = failed.next_at.is_none();
                    tries.teller.note(failed);
                    if is_last {
                        continue;
                    }
                }
                () = tries.teller.write_next() => continue,
                () = &mut next_ping => {}
                () = reply.closed() => return None,
            }
            next_ping = llm.pace.expire(PING_EVERY);
            let lines = reply.begin();
            if !self.pass(&lines, &ping).await {
                return None;
            }
        }
    }

    /// Passes events on until the answer ends; gives how it ended and the events that say so, held back
    /// until the cost is recorded.
    async fn forward(
        &self,
        mut events: EventStream,
        lines: &mpsc::Sender<Bytes>,
        tally: &mut Tally,
    ) -> (Outcome, Vec<StreamEvent>) {
        let mut last = Vec::new();
        loop {
            // Cancel-safe: an event that was not taken stays in the stream, which is dropped with us.
            let event = tokio::select! {
                event = events.next() => event,
                () = lines.closed() => return (Outcome::Abandoned, Vec::new()),
            };
            match event {
                Some(Ok(event)) => {
                    tally.see(&event);
                    let is_whole = matches!(event, StreamEvent::MessageStop(_));
                    let says_the_end = is_whole || matches!(event, StreamEvent::MessageDelta(_));
                    if says_the_end || !last.is_empty() {
                        last.push(event);
                    } else if !self.pass(lines, &event).await {
                        return (Outcome::Abandoned, Vec::new());
                    }
                    if is_whole {
                        return (Outcome::Complete, last);
                    }
                }
                Some(Err(error)) => {
                    self.warn(&error, tally);
                    return (Outcome::Cut, vec![error_event(&error)]);
                }
                None => return (Outcome::Cut, vec![error_event(&UpstreamError::Cut)]),
            }
        }
    }

    /// Hands one event to the asker; false when it is gone.
    async fn pass(&self, lines: &mpsc::Sender<Bytes>, event: &StreamEvent) -> bool {
        let data = serde_json::to_string(event).unwrap_or_default();
        let line = Bytes::from(sse::encode(Some(event.kind()), &data));
        // An event that is not handed over belongs to an asker that is gone.
        tokio::select! {
            sent = lines.send(line) => sent.is_ok(),
            () = self.shared.llm.pace.expire(ASKER_STALL_MAX) => false,
        }
    }

    fn failed(&self, failure: &AskError, tally: &Tally) -> GatewayReply {
        self.warn(failure, tally);
        reply::failed(failure)
    }

    /// The asker hears less than the operator: what lies under a failure can name addresses.
    fn warn(&self, error: &dyn std::error::Error, tally: &Tally) {
        let attempt = self
            .caller
            .principal
            .purpose
            .attempt()
            .map(|id| id.to_string());
        tracing::warn!(
            error = %Chain(error), attempt.id = attempt, route = %self.route, calls = tally.calls,
            "A model call failed"
        );
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            route: self.route,
            request: &self.request,
            headers: &self.headers,
        }
    }
}

fn error_event(error: &UpstreamError) -> StreamEvent {
    let seen = reply::seen_by_asker(error);
    error_event_of(&seen.kind, &seen.message)
}

fn error_event_of(kind: &str, message: &str) -> StreamEvent {
    let ErrorBody { error, extra, .. } = ErrorBody::new(kind, message);
    StreamEvent::Error(crate::wire::anthropic::StreamError { error, extra })
}

/// Headers for the upstream: who asks, for the simulated model alone, and what the asker switched on.
pub(crate) fn outgoing(
    caller: &Caller,
    request: &MessagesRequest,
    (target, incoming): (&Route, &HeaderMap),
) -> HeaderMap {
    let mut out = HeaderMap::new();
    if target.provider == Provider::Anthropic {
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
    let (round, turn) = (caller.round.to_string(), request.turn().to_string());
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
