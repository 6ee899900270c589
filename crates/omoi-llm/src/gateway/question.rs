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
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use super::stream_reply::StreamReply;
use super::{GatewayRequest, GatewayShared, ModelGateway, bad_request, check_bytes};
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

async fn read_question(dialect: Dialect, body: &Bytes) -> Result<RawRequest, GatewayRefusal> {
    let parsed = match body.len() < APART_BYTES {
        true => RawRequest::parse(dialect, body),
        false => {
            let body = body.clone();
            let parsing = tokio::task::spawn_blocking(move || RawRequest::parse(dialect, &body));
            parsing
                .await
                .map_err(|_| GatewayRefusal::internal_failure("the request could not be read"))?
        }
    };
    let asked = parsed.map_err(|bad| bad_request(&bad))?;
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
    fn take_ask(
        &mut self,
        dialect: Dialect,
        way: AskWay,
        is_last: bool,
    ) -> Result<CallerAsk, GatewayRefusal> {
        let asked = match self.parsed.take() {
            Some(asked) => asked,
            None => RawRequest::parse(dialect, &self.body).map_err(|bad| bad_request(&bad))?,
        };
        let ask = CallerAsk::for_upstream(asked, way, &self.body);
        if is_last {
            self.body = Bytes::new();
        }
        ask
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
}

impl GatewayQuestion {
    /// Asks one model after the other until one answers, or none is left that may.
    async fn run_question(mut self, answer: oneshot::Sender<GatewayReply>) {
        let shared = Arc::clone(&self.shared);
        let caller = self.caller.clone();
        let mut failures = FailureWriter::new(&caller, shared.meter.as_ref());
        let mut reply = StreamReply::new(self.dialect, answer);
        let routes = &shared.llm.routes;
        let order = self
            .conversation
            .order_choices(routes.choices_of(self.route));
        let name = self.route;
        let mut choices = order
            .into_iter()
            .map(|nth| RouteChoice { name, nth })
            .peekable();
        let mut refusal = None;
        while let Some(choice) = choices.next() {
            let target = routes.route_at(choice);
            let next = choices.peek().map(|next| routes.route_at(*next));
            let asked = AskedChoice {
                choice,
                way: self.conversation.way_to(target),
                is_last: next.is_none(),
            };
            let tried = self.try_choice(asked, &mut reply, &mut failures);
            let Some(failure) = tried.await else {
                self.conversation.note_answer(&shared.makers, target);
                return;
            };
            let note = next.zip(failure.class);
            if let Some((next, class)) = note {
                self.tell_fallback(target, next, class, &failure).await;
            }
            refusal = Some(failure.refusal);
            if note.is_none() {
                break;
            }
        }
        // A title or a classifier that has no model for hours is no reason to stop the work.
        let is_work = self.route == shared.llm.routes.work_route(&caller);
        let refusal = match is_work && failures.save_attempt().await {
            true => GatewayRefusal::superseded_attempt(),
            false => {
                refusal.unwrap_or_else(|| GatewayRefusal::internal_failure("no model is there"))
            }
        };
        reply.refuse_answer(refusal, &shared.llm.pace).await;
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
        let ask = match self.asked.take_ask(self.dialect, way, is_last) {
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
        tracing::warn!(
            route = %self.route, from = note.from_model, to = note.to_model, %class,
            "A question goes on to the next model: {}", note.words
        );
        self.shared.meter.report_fallback(&self.caller, &note).await;
    }
}
