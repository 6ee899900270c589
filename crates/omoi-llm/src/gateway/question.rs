//! One question through the gateway: its models one after the other, until one answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;

use super::answer_makers::AskedConversation;
use super::caller_ask::{AskWay, CallerAsk, RoutedAsk, name_route, outgoing_headers};
use super::choice_try::{ChoiceFailure, ChoiceTry};
use super::failed_choices::{FailedChoice, awaited_choice};
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::StreamReply;
use super::{
    BodyRoom, GatewayRequest, GatewayShared, ModelGateway, bad_request, check_bytes, count_body,
};
use crate::circuit::PassReason;
use crate::meter::{FallbackNote, ModelCaller};
use crate::metered_call::FailureWriter;
use crate::retry::FALLBACK_TIME;
use crate::route::{ModelRoute, RouteChoice};
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;

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
        check_bytes(&body)?;
        let room = self.reserve_body(caller.principal.purpose.attempt(), body.len())?;
        let asked = read_question(dialect, &body).await?;
        let routes = &self.shared.llm.routes;
        let route = routes.route_for_caller(caller, &asked.model);
        let simulated = routes.route_named(route).simulated;
        let conversation = AskedConversation::of_request(&self.shared, caller, route, &asked);
        let question = GatewayQuestion {
            shared: Arc::clone(&self.shared),
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
        Ok(reply.mark_simulated(simulated))
    }

    /// Counts the tokens of the request of `caller` in `body`.
    pub(super) async fn count_tokens(
        &self,
        caller: &ModelCaller,
        body: Bytes,
    ) -> Result<GatewayReply, GatewayRefusal> {
        let _slot = self.take_slot()?;
        check_bytes(&body)?;
        let _room = self.reserve_body(caller.principal.purpose.attempt(), body.len())?;
        read_apart(body.len(), move || count_body(&body)).await
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

/// Bodies from this size on are parsed apart from the threads that answer.
const APART_BYTES: usize = 256 * 1024;

/// Does `work` on a body of `n_bytes`.
async fn read_apart<T: Send + 'static>(
    n_bytes: usize,
    work: impl FnOnce() -> Result<T, GatewayRefusal> + Send + 'static,
) -> Result<T, GatewayRefusal> {
    if n_bytes < APART_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        let says = "the request could not be read";
        Err(GatewayRefusal::internal_failure(says))
    })
}

async fn read_question(dialect: Dialect, body: &Bytes) -> Result<RawRequest, GatewayRefusal> {
    let text = body.clone();
    let asked = read_apart(body.len(), move || {
        RawRequest::parse(dialect, &text).map_err(|bad| bad_request(&bad))
    });
    let asked = asked.await?;
    match &asked.refused_part {
        None => Ok(asked),
        Some(part) => {
            let says = format!("`{}` is refused: {}", part.name, part.why);
            Err(GatewayRefusal::invalid_request(says))
        }
    }
}

/// What stands for the user of `caller` at a provider.
fn user_of(caller: &ModelCaller) -> String {
    let principal = caller.principal;
    let attempt = principal.purpose.attempt().map(|id| id.to_string());
    attempt.unwrap_or_else(|| principal.spec.to_string())
}

/// One of the models of a question.
#[derive(Clone, Copy)]
struct AskedChoice {
    choice: RouteChoice,
    way: AskWay,
    /// Whether no other one is left.
    is_last: bool,
}

/// The question as it came.
struct AskedBody {
    /// It is parsed once for the first model, and again for each further one.
    parsed: Option<RawRequest>,
    /// Empty once no model can need it any more.
    body: Bytes,
}

impl AskedBody {
    /// The question as it goes by `way`; its text is dropped where `is_last`.
    async fn take_ask(
        &mut self,
        dialect: Dialect,
        way: AskWay,
        is_last: bool,
    ) -> Result<CallerAsk, GatewayRefusal> {
        let parsed = self.parsed.take();
        let body = match is_last {
            true => std::mem::take(&mut self.body),
            false => self.body.clone(),
        };
        let ask = read_apart(body.len(), move || {
            let asked = match parsed {
                Some(asked) => asked,
                None => RawRequest::parse(dialect, &body).map_err(|bad| bad_request(&bad))?,
            };
            CallerAsk::for_upstream(asked, way, &body)
        });
        ask.await
    }
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
    _room: BodyRoom,
}

impl GatewayQuestion {
    /// Asks one model after the other until one answers, or none is left that may.
    async fn run_question(mut self, answer: oneshot::Sender<GatewayReply>) {
        let shared = Arc::clone(&self.shared);
        let caller = self.caller.clone();
        let mut failures = FailureWriter::new(&caller, shared.meter.as_ref());
        let mut reply = StreamReply::new(self.dialect, answer);
        let routes = &shared.llm.routes;
        let choices = routes.choices_of(self.route);
        let name = self.route;
        let order = self.conversation.order_choices(choices);
        let order = routes.open_choices(name, order, caller.program).into_iter();
        let order: Vec<_> = order.map(|nth| RouteChoice { name, nth }).collect();
        let mut failed = Vec::new();
        let mut refusal = None;
        for (place, choice) in order.iter().enumerate() {
            let target = routes.route_at(*choice);
            let next = order.get(place + 1).map(|next| routes.route_at(*next));
            let asked = AskedChoice {
                choice: *choice,
                way: self.conversation.way_to(target),
                is_last: next.is_none(),
            };
            let tried = self.try_target(asked, &mut reply, &mut failures);
            let Some((failure, choice)) = tried.await else {
                self.conversation.note_answer(&shared.makers, target);
                return;
            };
            let note = next.zip(failure.class);
            if let Some((next, class)) = note {
                self.tell_fallback(target, next, class, &failure).await;
            }
            failed.push(choice);
            refusal = Some(failure);
            if note.is_none() {
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
            let [from, to] = [unfit, to].map(|failed| routes.route_at(failed.choice));
            self.tell_fallback(from, to, class, failure).await;
        }
        failures.save_attempt(&awaited.failed).await
    }

    /// Asks a model, unless it is known to be away and another one is left. None when the caller has its
    /// answer or is gone.
    async fn try_target(
        &mut self,
        asked: AskedChoice,
        reply: &mut StreamReply,
        failures: &mut FailureWriter<'_>,
    ) -> Option<(ChoiceFailure, FailedChoice)> {
        let shared = Arc::clone(&self.shared);
        let AskedChoice {
            choice, is_last, ..
        } = asked;
        let target = shared.llm.routes.route_at(choice);
        let (circuits, key) = (&shared.llm.circuits, target.circuit_key());
        let known = match is_last {
            true => None,
            false => circuits.passed_target(&key, shared.llm.pace.now()),
        };
        if let Some(passed) = known {
            let failed = FailedChoice {
                choice,
                class: Some(passed.reason.class),
                turned_away: passed.reason.turned_away.clone(),
            };
            return Some((ChoiceFailure::of_passed(target, &passed), failed));
        }
        let failure = self.try_choice(asked, reply, failures).await?;
        let turned_away = failures.take_turned_away();
        if let Some(class @ (FallbackClass::Away | FallbackClass::Limited)) = failure.class
            && !is_last
        {
            let now = shared.llm.pace.now();
            let reason = PassReason {
                class,
                turned_away: turned_away.clone(),
            };
            circuits.pass_over(&key, now, reason);
        }
        let failed = FailedChoice {
            choice,
            class: failure.class,
            turned_away,
        };
        Some((failure, failed))
    }

    /// Asks one model; none when the caller has its answer or is gone.
    async fn try_choice(
        &mut self,
        asked: AskedChoice,
        reply: &mut StreamReply,
        failures: &mut FailureWriter<'_>,
    ) -> Option<ChoiceFailure> {
        let shared = Arc::clone(&self.shared);
        let AskedChoice {
            choice,
            way,
            is_last,
        } = asked;
        let target = shared.llm.routes.route_at(choice);
        let ask = match self.asked.take_ask(self.dialect, way, is_last).await {
            Ok(ask) => ask,
            Err(refusal) => return Some(ChoiceFailure::unsaid_question(refusal)),
        };
        let mut headers = outgoing_headers(&self.caller, self.turn, target, &self.headers);
        if target.simulated {
            name_route(&mut headers, self.route);
        }
        let one = ChoiceTry {
            shared: &shared,
            caller: &self.caller,
            dialect: self.dialect,
            streams: self.streams,
            time: match is_last {
                true => shared.llm.retry_time,
                false => shared.llm.retry_time.min(FALLBACK_TIME),
            },
            ask: RoutedAsk {
                ask: &ask,
                route: choice,
                headers: &headers,
                user: &self.user,
                program: self.caller.program,
            },
        };
        if !is_last && let Some(failure) = one.exceeds_window() {
            return Some(failure);
        }
        one.ask_model(reply, failures).await
    }

    async fn tell_fallback(
        &self,
        target: &ModelRoute,
        next: &ModelRoute,
        class: FallbackClass,
        failure: &ChoiceFailure,
    ) {
        let note = FallbackNote {
            route: self.route,
            from_model: target.model.clone(),
            to_model: next.model.clone(),
            class,
            words: failure.refusal.plain_message().to_owned(),
        };
        let words = &note.words;
        let (route, from, to) = (self.route, &note.from_model, &note.to_model);
        match failure.is_known {
            true => tracing::debug!(%route, from, to, %class, "A model is passed over: {words}"),
            false => {
                tracing::warn!(%route, from, to, %class, "A question goes on to the next model: {words}");
            }
        }
        self.shared.meter.report_fallback(&self.caller, &note).await;
    }
}
