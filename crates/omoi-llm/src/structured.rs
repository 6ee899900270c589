//! Typed answers: the schema comes from the Rust type, a wrong answer goes back with what is wrong.

mod question_form;

use std::pin::pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use thiserror::Error;

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;

use self::question_form::{answer_value, first_request, return_answer};
use crate::error_chain::ErrorChain;
use crate::gateway::outgoing_headers;
use crate::llm_client::{AskError, LlmClient, QuestionTally, RoutedRequest};
use crate::meter::{CallMeter, CallOutcome, FallbackNote, ModelCaller, RecordError, ReserveError};
use crate::metered_call::{CallRequest, FailureWriter, MeteredCall};
use crate::retry::{CallAllowance, FALLBACK_TIME};
use crate::route::RouteChoice;
use crate::schema::{self, SchemaViolation};
use crate::token_count::RequestSize;
use crate::wire::answer::ModelAnswer;
use crate::wire::anthropic::{MessagesRequest, StopReason};
use crate::wire::headers;

/// How often a wrong answer is sent back.
pub const REPAIRS_MAX: u32 = 5;
/// The tool by which a typed answer is given.
const ANSWER_TOOL: &str = "answer";

/// A question with a typed answer.
#[derive(Clone, Debug)]
pub struct TypedQuestion {
    /// Route that the question takes.
    pub route: RouteName,
    /// Instructions ahead of the question.
    pub system: Option<String>,
    /// The question itself, as the user message.
    pub prompt: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Randomness of the answer.
    pub temperature: Option<f64>,
    /// Models that are not asked in the place of another: they wrote what is asked about.
    pub authors: Vec<String>,
}

/// The caller of a structured question and the meter of its calls.
#[derive(Clone, Copy)]
pub struct MeteredCaller<'a> {
    /// Who is charged for the calls.
    pub caller: &'a ModelCaller,
    /// Allows and records each call.
    pub meter: &'a dyn CallMeter,
}

/// Why there is no typed answer.
#[derive(Debug, Error)]
pub enum StructuredError {
    /// The call was not allowed.
    #[error("the model may not be called")]
    Reserve(#[source] ReserveError),
    /// The cost could not be written down; the answer is withheld so that spending stops.
    #[error("the model call was not accounted for")]
    Record(#[source] RecordError),
    /// The model could not be asked.
    #[error("the model gave no answer")]
    Ask(#[source] AskError),
    /// The model declined to answer the question.
    #[error("the model declined to answer")]
    Declined,
    /// The answer stayed wrong.
    #[error("{answers} answers did not fit the schema; the last: {last}")]
    Malformed {
        /// Answers the model gave, all of them wrong.
        answers: u32,
        /// What was wrong with the last.
        last: SchemaViolation,
    },
}

/// An answer of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedAnswer<T> {
    /// The answer.
    pub value: T,
    /// The model that gave it.
    pub model: String,
}

impl StructuredError {
    /// Why the question goes on to the next model of its list; none where that would fare no better.
    fn fallback_class(&self) -> Option<FallbackClass> {
        match self {
            Self::Reserve(ReserveError::Refused { .. }) => Some(FallbackClass::OverBudget),
            Self::Ask(error) => error.fallback_class(),
            Self::Declined => Some(FallbackClass::Refused),
            Self::Malformed { .. } => Some(FallbackClass::Unusable),
            Self::Reserve(_) | Self::Record(_) => None,
        }
    }

    /// The cause in words for people: the provider's own where it said any.
    fn cause_words(&self) -> String {
        match self {
            Self::Ask(error) => match error.upstream_error() {
                Some(upstream) => upstream.provider_words(),
                None => error.to_string(),
            },
            Self::Reserve(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}

/// Asks `question` and gives its answer as a `T`, from the first model of its route that gives one. An
/// author of what is asked about is asked only where a person names it first.
///
/// A wrong answer goes back with the exact error and the offending value, up to [`REPAIRS_MAX`] times.
/// All calls of one model keep within the number of one [`CallAllowance`], and each question within its
/// time.
///
/// # Errors
/// Returns [`StructuredError`], in the end with the last violation.
pub async fn ask_structured<T: JsonSchema + DeserializeOwned>(
    llm: &LlmClient,
    caller: MeteredCaller<'_>,
    question: &TypedQuestion,
) -> Result<TypedAnswer<T>, StructuredError> {
    let choices = llm.routes.choices_of(question.route);
    let first = llm.routes.platform_choice(question.route);
    let mut nth = first.map_or(0, |choice| choice.nth);
    loop {
        let route = RouteChoice {
            name: question.route,
            nth,
        };
        let asked = llm.routes.route_at(route);
        let mut later = choices.iter().enumerate().skip(nth + 1);
        let next = later.find(|(_, later)| {
            !later.is_reserved_from(None) && !question.authors.contains(&later.model)
        });
        let time = match next {
            Some(_) => llm.retry_time.min(FALLBACK_TIME),
            None => llm.retry_time,
        };
        let error = match ask_choice(llm, caller, question, ChoiceTime { route, time }).await {
            Ok(value) => {
                let model = asked.model.clone();
                return Ok(TypedAnswer { value, model });
            }
            Err(error) => error,
        };
        let Some(((nth_next, next), class)) = next.zip(error.fallback_class()) else {
            return Err(error);
        };
        let note = FallbackNote {
            route: question.route,
            from_model: asked.model.clone(),
            to_model: next.model.clone(),
            class,
            words: error.cause_words(),
        };
        tracing::warn!(
            route = %question.route, from = note.from_model, to = note.to_model, %class,
            error = %ErrorChain(&error), "A question goes on to the next model"
        );
        caller.meter.report_fallback(caller.caller, &note).await;
        nth = nth_next;
    }
}

/// A model, and how long it is tried.
#[derive(Clone, Copy)]
struct ChoiceTime {
    route: RouteChoice,
    time: Duration,
}

/// Asks one model until its answer fits.
async fn ask_choice<T: JsonSchema + DeserializeOwned>(
    llm: &LlmClient,
    caller: MeteredCaller<'_>,
    question: &TypedQuestion,
    choice: ChoiceTime,
) -> Result<T, StructuredError> {
    let schema = schema::schema_for::<T>();
    let mode = llm.routes.route_at(choice.route).answer_mode;
    let mut request = first_request(question, &schema, mode);
    let mut allowance = CallAllowance::within_time(llm.pace.now(), choice.time);
    let mut answers = 0;
    loop {
        let asked = RoutedQuestion {
            route: choice.route,
            request: &request,
        };
        let answer = ask_metered(llm, caller, asked, &mut allowance).await?;
        allowance = allowance.renew_time(llm.pace.now(), choice.time);
        answers += 1;
        if answer.response.stop_reason == Some(StopReason::Refusal) {
            tracing::info!(route = %question.route, answers, "The model declined to answer");
            return Err(StructuredError::Declined);
        }
        let mut violations = match answer_value(&answer) {
            Ok(value) => match schema::read_typed(&schema, &value) {
                Ok(typed) => return Ok(typed),
                Err(violations) => violations,
            },
            Err(violation) => vec![violation],
        };
        if answers > REPAIRS_MAX {
            let last = violations.swap_remove(0);
            return Err(StructuredError::Malformed { answers, last });
        }
        tracing::debug!(
            route = %question.route, answers, first = violations.first().map(tracing::field::display),
            "An answer does not fit its schema and goes back"
        );
        return_answer(&mut request, answer, &violations);
    }
}

/// A request, and the route that it is asked by.
#[derive(Clone, Copy)]
struct RoutedQuestion<'a> {
    route: RouteChoice,
    request: &'a MessagesRequest,
}

/// Asks once: reserves the cost, calls the model, records what it cost.
async fn ask_metered(
    llm: &LlmClient,
    caller: MeteredCaller<'_>,
    asked: RoutedQuestion<'_>,
    allowance: &mut CallAllowance,
) -> Result<ModelAnswer, StructuredError> {
    let RoutedQuestion { route, request } = asked;
    let call = CallRequest {
        route,
        size: RequestSize::of_message(request),
    };
    let metered = MeteredCall::reserve_call(llm, caller.caller, caller.meter, call);
    let metered = metered.await.map_err(StructuredError::Reserve)?;
    let tally = QuestionTally::new(*allowance).reserved_by(metered.call_reservation());
    let (mut tally, mut failures) = tally.with_failures();
    let mut failure_writer = FailureWriter::new(caller.caller, caller.meter);
    let target = llm.routes.route_at(route);
    let turn = Some(request.turn_number());
    let headers = outgoing_headers(caller.caller, turn, target, &headers::own_headers());
    let ask = RoutedRequest {
        route,
        request,
        headers: &headers,
    };
    let answer = {
        let mut answer = pin!(llm.complete_answer(ask, &mut tally));
        loop {
            tokio::select! {
                answer = &mut answer => break answer,
                // Why there is no answer at all, who asks tells.
                Some(failed) = failures.recv() => if failed.next_at.is_some() {
                    failure_writer.note_failure(failed);
                },
                () = failure_writer.write_next_failure() => {}
            }
        }
    };
    failure_writer.write_noted_failures().await;
    *allowance = tally.allowance;
    let outcome = match &answer {
        Ok(_) => CallOutcome::Complete,
        Err(_) => CallOutcome::Failed,
    };
    let recorded = metered.record_outcome(&tally, outcome).await;
    recorded.map_err(StructuredError::Record)?;
    answer.map_err(StructuredError::Ask)
}
