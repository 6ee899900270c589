//! One question through the gateway: its models one after the other, until one answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;

use super::answer_makers::AskedConversation;
use super::asked_body::{AskedBody, read_apart, read_question};
use super::caller_ask::{RoutedAsk, name_route, outgoing_headers};
use super::choice_failure::ChoiceFailure;
use super::choice_try::{ChoiceTry, TriedChoice};
use super::failed_choices::{FailedChoice, awaited_choice};
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::StreamReply;
use super::{
    GatewayRequest, GatewayShared, ModelGateway, VALUE_BYTES, check_bytes, count_body, count_values,
};
use crate::body_room::BodyRoom;
use crate::choice_walk::{ChoiceWalk, WalkedChoice, tell_fallback};
use crate::llm_client::UpstreamQuestion as _;
use crate::meter::{FallbackNote, ModelCaller};
use crate::metered_call::FailureWriter;
use crate::route::RouteChoice;
use crate::wire::dialect::Dialect;

impl ModelGateway {
    /// Answers the question in `request`, which is in `dialect`.
    ///
    /// # Errors
    /// Refuses a question that cannot be put to a model, or for which there is no room.
    pub(super) async fn answer_question(
        &self,
        caller: &ModelCaller,
        request: GatewayRequest,
        dialect: Dialect,
    ) -> Result<GatewayReply, GatewayRefusal> {
        // Before anything is read: what waits for a slot takes no memory beside its bytes.
        let slot = self.take_slot()?;
        let GatewayRequest { headers, body, .. } = request;
        let room = self.make_room(caller, &body).await?;
        let asked = read_question(dialect, &body).await?;
        let shared = self.shared.for_organisation(caller.principal.org).await;
        let shared = Arc::new(shared.map_err(|error| GatewayRefusal::of_keys(&error))?);
        let routes = &shared.llm.routes;
        let route = routes.route_for_caller(caller, &asked.model);
        let simulated = routes.route_named(route).simulated;
        let is_beside = route != routes.work_route(caller);
        let conversation = AskedConversation::of_request(&shared, caller, route, &asked);
        let question = GatewayQuestion {
            shared: Arc::clone(&shared),
            conversation: conversation.await,
            user: user_of(caller),
            caller: caller.clone(),
            route,
            dialect,
            streams: asked.streams,
            turn: asked.turn,
            headers,
            asked: AskedBody {
                parsed: Some(asked),
                body,
            },
            _slot: slot,
            _room: room,
        };
        let (answer, answered) = oneshot::channel();
        self.spawn_question(question.run_question(answer));
        let reply = answered.await.unwrap_or_else(|_| {
            // It panicked, and was logged.
            let says = "the question ended without an answer";
            GatewayRefusal::internal_failure(says).into_reply(dialect)
        });
        Ok(reply.mark_simulated(simulated).mark_beside(is_beside))
    }

    /// Counts the tokens of the request of `caller` in `body`.
    pub(super) async fn count_tokens(
        &self,
        caller: &ModelCaller,
        body: Bytes,
    ) -> Result<GatewayReply, GatewayRefusal> {
        let _slot = self.take_slot()?;
        let _room = self.make_room(caller, &body).await?;
        read_apart(body.len(), move || count_body(&body)).await
    }

    /// Takes room for `body` and for the values that it becomes, before any of it is one.
    async fn make_room(
        &self,
        caller: &ModelCaller,
        body: &Bytes,
    ) -> Result<[BodyRoom; 2], GatewayRefusal> {
        check_bytes(body)?;
        let attempt = caller.principal.purpose.attempt();
        let text_room = self.reserve_body(attempt, body.len())?;
        let text = body.clone();
        let n_values = read_apart(body.len(), move || count_values(&text)).await?;
        let value_room = self.reserve_body(attempt, n_values * VALUE_BYTES)?;
        Ok([text_room, value_room])
    }

    fn take_slot(&self) -> Result<OwnedSemaphorePermit, GatewayRefusal> {
        let n_max = super::QUESTIONS_MAX;
        Arc::clone(&self.question_slots)
            .try_acquire_owned()
            .map_err(|_| {
                tracing::warn!(n_max, "Refused a question: too many are under way");
                GatewayRefusal::no_room(format!(
                    "{n_max} questions are under way, the most that are allowed"
                ))
            })
    }
}

/// What stands for the user of `caller` at a provider.
fn user_of(caller: &ModelCaller) -> String {
    let principal = caller.principal;
    let attempt = principal.purpose.attempt().map(|id| id.to_string());
    attempt.unwrap_or_else(|| principal.spec.to_string())
}

struct GatewayQuestion {
    shared: Arc<GatewayShared>,
    caller: ModelCaller,
    user: String,
    route: RouteName,
    conversation: AskedConversation,
    dialect: Dialect,
    streams: bool,
    turn: Option<usize>,
    /// As the caller sent them.
    headers: HeaderMap,
    asked: AskedBody,
    _slot: OwnedSemaphorePermit,
    _room: [BodyRoom; 2],
}

/// What became of a model that was to be asked.
enum TriedTarget {
    /// The caller has its answer.
    Answered,
    /// The caller is gone, or its answer ended in the middle or is withheld.
    Ended,
    /// It gave none.
    Failed(Box<(ChoiceFailure, FailedChoice)>),
}

impl GatewayQuestion {
    /// Asks one model after the other until one answers, or none is left that may.
    async fn run_question(mut self, answer: oneshot::Sender<GatewayReply>) {
        let shared = Arc::clone(&self.shared);
        let caller = self.caller.clone();
        let meter = shared.meter.as_ref();
        let mut failures = FailureWriter::new(&caller, meter);
        let mut reply = StreamReply::new(self.dialect, answer);
        let order = self.ordered_choices();
        self.tell_wordy(&order).await;
        let mut walk = ChoiceWalk::new(&shared.llm, order);
        let mut failed = Vec::new();
        let mut refusal = None;
        while let Some(walked) = walk.next_choice() {
            let tried = self.try_target(walked, &mut reply, &mut failures);
            let (failure, choice) = match tried.await {
                TriedTarget::Failed(failed) => *failed,
                TriedTarget::Answered => {
                    self.conversation.note_answer(&shared.makers, walked.target);
                    return;
                }
                TriedTarget::Ended => return,
            };
            if let Some(class) = failure.class {
                self.conversation
                    .note_failure(&shared.makers, walked.target, class);
            }
            let words = failure.refusal.plain_message().to_owned();
            let note = walked.fallback_note(failure.class, words);
            // A program that saw the beginning of an answer takes no other in its place.
            let is_asked = !failure.is_shown || self.asks_again();
            if let Some(note) = note.as_ref().filter(|_| is_asked) {
                tell_fallback(meter, &caller, note, failure.is_known).await;
            }
            let goes_on = note.is_some() && !failure.is_shown;
            let failure = self.told_failure(failure, note);
            failed.push(choice);
            refusal = Some(failure);
            if !goes_on {
                break;
            }
        }
        let is_saved = self.save_attempt(&failed, refusal.as_ref(), &mut failures);
        let refusal = match (is_saved.await, refusal) {
            (true, _) => GatewayRefusal::superseded_attempt(),
            (false, Some(failure)) => failure.refusal,
            (false, None) => GatewayRefusal::internal_failure("no model is there"),
        };
        reply.refuse_answer(refusal, &shared.llm.pace).await;
    }

    /// Whether who asks is our own agent, which asks again by itself when an answer ends in its middle.
    fn asks_again(&self) -> bool {
        self.caller.program.is_none_or(AgentProgram::is_native)
    }

    /// `failure` as the caller is told of it, where `note` is left to be asked. Of an answer that it saw the
    /// beginning of, our own agent asks again by itself; a program takes no other in its place.
    fn told_failure(&self, failure: ChoiceFailure, note: Option<FallbackNote>) -> ChoiceFailure {
        match note.filter(|_| failure.is_shown && self.asks_again()) {
            None => failure,
            Some(FallbackNote {
                from_model,
                to_model,
                ..
            }) => ChoiceFailure {
                refusal: GatewayRefusal::declined_midway(&from_model, &to_model),
                ..failure
            },
        }
    }

    /// The models that may be asked, in their order.
    fn ordered_choices(&self) -> Vec<RouteChoice> {
        let (routes, name) = (&self.shared.llm.routes, self.route);
        let order = self.conversation.order_choices(routes.choices_of(name));
        let order = routes.open_choices(name, order, self.caller.program);
        let order = order.into_iter();
        order.map(|nth| RouteChoice { name, nth }).collect()
    }

    /// Tells of a model that has just been found to call tools in words, where another one is asked in its place.
    async fn tell_wordy(&self, order: &[RouteChoice]) {
        let routes = &self.shared.llm.routes;
        let targets = || order.iter().map(|choice| routes.route_at(*choice));
        let wordy = targets().find(|target| self.conversation.is_newly_wordy(target));
        let Some((wordy, next)) = wordy.zip(targets().next()) else {
            return;
        };
        if wordy.maker_id() != next.maker_id() {
            let note = FallbackNote {
                route: self.route,
                from_model: wordy.model.clone(),
                to_model: next.model.clone(),
                class: FallbackClass::ToolsInWords,
                words:
                    "it wrote calls of tools into its answers again, after it was told to use them"
                        .to_owned(),
            };
            let meter = self.shared.meter.as_ref();
            tell_fallback(meter, &self.caller, &note, false).await;
        }
    }

    /// Has the attempt saved where its work waits for one of the models that `failed`; whether it is.
    async fn save_attempt(
        &self,
        failed: &[FailedChoice],
        last: Option<&ChoiceFailure>,
        failures: &mut FailureWriter<'_>,
    ) -> bool {
        let routes = &self.shared.llm.routes;
        // A title or a classifier that has no model for hours is no reason to stop the work.
        if self.route != routes.work_route(&self.caller) {
            return false;
        }
        let Some(awaited) = awaited_choice(failed) else {
            return false;
        };
        let unfit = failed.last().filter(|last| last.turned_away.is_none());
        if let (Some(unfit), Some(failure)) = (unfit, last)
            && let (Some(class), Some(to)) = (unfit.class, failed.get(awaited.nth))
        {
            let note = FallbackNote {
                route: self.route,
                from_model: routes.route_at(unfit.choice).model.clone(),
                to_model: routes.route_at(to.choice).model.clone(),
                class,
                words: failure.refusal.plain_message().to_owned(),
            };
            let meter = self.shared.meter.as_ref();
            tell_fallback(meter, &self.caller, &note, failure.is_known).await;
        }
        failures.save_attempt(&awaited.failed).await
    }

    /// Asks a model, unless it is known to be away and another one is left.
    async fn try_target(
        &mut self,
        walked: WalkedChoice<'_>,
        reply: &mut StreamReply,
        failures: &mut FailureWriter<'_>,
    ) -> TriedTarget {
        let choice = walked.choice;
        if let Some(passed) = walked.passed_target() {
            let failed = FailedChoice {
                choice,
                class: Some(passed.reason.class),
                turned_away: passed.reason.turned_away.clone(),
            };
            let failure = ChoiceFailure::of_passed(&walked, &passed);
            return TriedTarget::Failed(Box::new((failure, failed)));
        }
        let mut failure = match self.try_choice(walked, reply, failures).await {
            TriedChoice::Failed(failure) => failure,
            TriedChoice::Answered => return TriedTarget::Answered,
            TriedChoice::Ended => return TriedTarget::Ended,
        };
        if failure.refusal.is_bad_request() && self.conversation.enters_round(walked.target) {
            // What it takes amiss may be the round, which whoever answered last can go on with.
            failure.class = failure.class.or(Some(FallbackClass::Refused));
        }
        let turned_away = failures.take_turned_away();
        walked.note_failure(failure.class, turned_away.clone());
        let failed = FailedChoice {
            choice,
            class: failure.class,
            turned_away,
        };
        TriedTarget::Failed(Box::new((failure, failed)))
    }

    /// Asks one model.
    async fn try_choice(
        &mut self,
        walked: WalkedChoice<'_>,
        reply: &mut StreamReply,
        failures: &mut FailureWriter<'_>,
    ) -> TriedChoice {
        let shared = Arc::clone(&self.shared);
        let target = walked.target;
        let way = self.conversation.way_to(target);
        let ask = self.asked.take_ask(self.dialect, way, walked.is_last());
        let ask = match ask.await {
            Ok(ask) => ask,
            Err(refusal) => return TriedChoice::Failed(ChoiceFailure::unsaid_question(refusal)),
        };
        let mut headers = outgoing_headers(&self.caller, self.turn, target, &self.headers);
        if target.simulated {
            name_route(&mut headers, self.route);
        }
        let ask = RoutedAsk {
            ask: &ask,
            route: walked.choice,
            headers: &headers,
            user: &self.user,
            program: self.caller.program,
        };
        if let Some(words) = walked.window_excess(ask.request_size()) {
            return TriedChoice::Failed(ChoiceFailure::over_window(words));
        }
        let one = ChoiceTry {
            shared: &shared,
            caller: &self.caller,
            dialect: self.dialect,
            streams: self.streams,
            time: walked.retry_time(),
            ask,
        };
        one.ask_model(reply, failures).await
    }
}
