//! Typed answers: the schema comes from the Rust type, a wrong answer goes back with what is wrong.

mod question_form;

use std::pin::pin;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;

use self::question_form::{answer_value, first_request, return_answer};
use crate::brought_keys::BroughtKeyError;
use crate::choice_walk::{ChoiceWalk, WalkedChoice, tell_fallback};
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::gateway::outgoing_headers;
use crate::llm_client::{AskError, LlmClient, QuestionTally, RoutedRequest};
use crate::meter::{CallMeter, CallOutcome, FallbackNote, ModelCaller, RecordError, ReserveError};
use crate::metered_call::{CallRequest, FailureWriter, MeteredCall};
use crate::retry::CallAllowance;
use crate::route::RouteChoice;
use crate::schema::{self, SchemaViolation};
use crate::token_count::RequestSize;
use crate::upstream::{UpstreamError, said_words};
use crate::wire::answer::ModelAnswer;
use crate::wire::anthropic::{MessagesRequest, StopReason};
use crate::wire::headers;

/// How often a wrong answer is sent back.
pub const REPAIRS_MAX: u32 = 5;
/// How often a question begins anew whose organisation has changed its keys meanwhile.
const KEY_CHANGES_MAX: u32 = 3;
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
    /// The keys of the organisation that asks are not known.
    #[error("the model may not be called for now")]
    Keys(#[source] BroughtKeyError),
    /// The model could not be asked.
    #[error("the model gave no answer")]
    Ask(#[source] AskError),
    /// The model declined to answer the question.
    #[error("the model declined to answer{}", said_words(.words))]
    Declined {
        /// What it says of it, without secrets; empty where it says nothing.
        words: String,
    },
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
            Self::Declined { .. } => Some(FallbackClass::Declined),
            Self::Malformed { .. } => Some(FallbackClass::Unusable),
            Self::Reserve(_) | Self::Record(_) | Self::Keys(_) => None,
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
    let org = caller.caller.principal.org;
    let mut changes_left = KEY_CHANGES_MAX;
    loop {
        let own = llm.for_organisation(org).await;
        let own = own.map_err(StructuredError::Keys)?;
        match ask_with_keys(&own, caller, question).await {
            Err(StructuredError::Ask(AskError::KeysChanged)) if changes_left > 0 => {
                changes_left -= 1;
            }
            asked => return asked,
        }
    }
}

/// The same with the keys that `llm` has now.
async fn ask_with_keys<T: JsonSchema + DeserializeOwned>(
    llm: &LlmClient,
    caller: MeteredCaller<'_>,
    question: &TypedQuestion,
) -> Result<TypedAnswer<T>, StructuredError> {
    let schema = schema::schema_for::<T>();
    let mut walk = ChoiceWalk::new(llm, platform_choices(llm, question));
    loop {
        #[expect(
            clippy::expect_used,
            reason = "no list of models is empty, and the last one ends the question"
        )]
        let walked = walk.next_choice().expect("a model that is left");
        let request = first_request(question, &schema, walked.target.answer_mode);
        let unasked = unasked_note(&walked, &request);
        let asked = SchemaQuestion {
            request,
            schema: &schema,
        };
        let (note, is_known) = match unasked {
            Some(note) => note,
            None => match ask_choice::<T>(llm, caller, &walked, asked).await {
                Ok(value) => {
                    let model = walked.target.model.clone();
                    return Ok(TypedAnswer { value, model });
                }
                Err(ChoiceFault { error, turned_away }) => {
                    let class = error.fallback_class();
                    walked.note_failure(class, turned_away);
                    let Some(note) = walked.fallback_note(class, error.cause_words()) else {
                        return Err(error);
                    };
                    tracing::debug!(route = %question.route, error = %ErrorChain(&error), "A model gave no typed answer");
                    (note, false)
                }
            },
        };
        tell_fallback(caller.meter, caller.caller, &note, is_known).await;
    }
}

/// The models that the platform may ask: those of the list whose keys are not for agents alone. An author of
/// what is asked about is asked only where it stands first.
fn platform_choices(llm: &LlmClient, question: &TypedQuestion) -> Vec<RouteChoice> {
    let (routes, name) = (&llm.routes, question.route);
    let order = (0..routes.choices_of(name).len()).collect();
    let order = routes.open_choices(name, order, None).into_iter();
    let choices = order.map(|nth| RouteChoice { name, nth });
    let may_judge = |(place, choice): &(usize, RouteChoice)| {
        *place == 0 || !question.authors.contains(&routes.route_at(*choice).model)
    };
    let choices = choices.enumerate().filter(may_judge);
    choices.map(|(_, choice)| choice).collect()
}

/// Why a model is not asked `request` while another one is left, and whether an earlier question found that
/// out.
fn unasked_note(
    walked: &WalkedChoice<'_>,
    request: &MessagesRequest,
) -> Option<(FallbackNote, bool)> {
    if let Some(passed) = walked.passed_target() {
        let words = walked.passed_words(&passed);
        let note = walked.fallback_note(Some(passed.reason.class), words);
        return note.map(|note| (note, true));
    }
    let words = walked.window_excess(RequestSize::of_message(request))?;
    let note = walked.fallback_note(Some(FallbackClass::WindowExceeded), words);
    note.map(|note| (note, false))
}

/// Why a model gave no typed answer.
struct ChoiceFault {
    error: StructuredError,
    /// Its last failure, where its provider turned the question away.
    turned_away: Option<FailedTry>,
}

impl From<StructuredError> for ChoiceFault {
    fn from(error: StructuredError) -> Self {
        Self {
            error,
            turned_away: None,
        }
    }
}

/// Asks one model until its answer fits `schema`.
async fn ask_choice<T: DeserializeOwned>(
    llm: &LlmClient,
    caller: MeteredCaller<'_>,
    walked: &WalkedChoice<'_>,
    mut question: SchemaQuestion<'_>,
) -> Result<T, ChoiceFault> {
    let (route, time) = (walked.choice, walked.retry_time());
    let SchemaQuestion { request, schema } = &mut question;
    let mut allowance = CallAllowance::within_time(llm.pace.now(), time);
    let mut answers = 0;
    loop {
        let asked = RoutedQuestion { route, request };
        let answer = ask_metered(llm, caller, asked, &mut allowance).await?;
        allowance = allowance.renew_time(llm.pace.now(), time);
        answers += 1;
        // After it had begun to answer; before, it gives none.
        if answer.response.stop_reason == Some(StopReason::Refusal) {
            let details = answer.response.stop_details;
            let words = details.and_then(|details| details.explanation);
            let words = llm.mask_words(&words.unwrap_or_default());
            return Err(StructuredError::Declined { words }.into());
        }
        let mut violations = match answer_value(&answer) {
            Ok(value) => match schema::read_typed(schema, &value) {
                Ok(typed) => return Ok(typed),
                Err(violations) => violations,
            },
            Err(violation) => vec![violation],
        };
        if answers > REPAIRS_MAX {
            let last = violations.swap_remove(0);
            return Err(StructuredError::Malformed { answers, last }.into());
        }
        tracing::debug!(
            route = %route.name, answers, first = violations.first().map(tracing::field::display),
            "An answer does not fit its schema and goes back"
        );
        return_answer(request, answer, &violations);
    }
}

/// A request, and the schema that its answer has to fit.
struct SchemaQuestion<'a> {
    request: MessagesRequest,
    schema: &'a Value,
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
) -> Result<ModelAnswer, ChoiceFault> {
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
                Some(failed) = failures.recv() => failure_writer.note_passing(failed),
                () = failure_writer.write_next_failure() => {}
            }
        }
    };
    while let Ok(failed) = failures.try_recv() {
        failure_writer.note_passing(failed);
    }
    failure_writer.write_noted_failures().await;
    *allowance = tally.allowance;
    let outcome = match &answer {
        Ok(_) => CallOutcome::Complete,
        Err(_) => CallOutcome::Failed,
    };
    let kept = metered.wait_kept().await;
    let recorded = metered.record_outcome(&tally, outcome).await;
    kept.map_err(StructuredError::Reserve)?;
    recorded.map_err(StructuredError::Record)?;
    answer.map_err(|error| ChoiceFault {
        error: match error.upstream_error() {
            Some(UpstreamError::Declined { words }) => StructuredError::Declined {
                words: words.clone(),
            },
            _ => StructuredError::Ask(error),
        },
        turned_away: failure_writer.take_turned_away(),
    })
}
