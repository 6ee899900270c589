//! The hook that allows and records model calls, and what it is told: caller, projected cost, usage.
//!
//! This crate knows no budgets: it asks before a call and reports after it.

use futures::future::BoxFuture;
use thiserror::Error;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AgentRole;
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::Principal;
use omoi_domain::task::TaskType;

use crate::failed_try::FailedTry;
use crate::pricing::TokenCounts;

/// Who calls a model: what the server knows from the attempt's token, or the platform of its own question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCaller {
    /// Who pays, and for what.
    pub principal: Principal,
    /// Role of the agent, for example `planner`.
    pub role: AgentRole,
    /// The program that takes its turns; none for the platform itself.
    pub program: Option<AgentProgram>,
    /// Planning phase, for example `requirements`.
    pub phase: String,
    /// The task's plan-local id, for example `TSK-003`; none while planning.
    pub task: Option<String>,
    /// The kind of task; none while planning.
    pub task_type: Option<TaskType>,
    /// The task's title; none while planning.
    pub title: Option<String>,
    /// Round of the subject, counted from 1.
    pub round: u32,
    /// Turns of the attempt that the question goes on from, the last of which may still be on its way to being
    /// kept; none where the caller does not say.
    pub n_turns: Option<u32>,
}

/// The highest cost of a call, estimated before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostProjection {
    /// The route asked for.
    pub route: RouteName,
    /// Name of the model on that route.
    pub model: String,
    /// Its answers are scripted and cost nothing.
    pub simulated: bool,
    /// Estimated tokens read, and the limit of tokens answered.
    pub tokens: TokenCounts,
    /// Price of those tokens in nano-dollars.
    pub cost: NanoUsd,
}

/// Tokens and cost of a finished call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUsage {
    /// The route asked for.
    pub route: RouteName,
    /// The model that answered.
    pub model: String,
    /// Tokens of all tries, failed ones included; estimated where the model did not say.
    pub tokens: TokenCounts,
    /// Whether some of those tokens are an estimate, because the provider did not tell them.
    pub is_estimated: bool,
    /// Price of those tokens in nano-dollars.
    pub cost: NanoUsd,
    /// From the question to the end of the answer.
    pub latency_ms: u64,
    /// Calls made to the provider, retries included.
    pub calls: u32,
    /// The answers were scripted and cost nothing.
    pub simulated: bool,
    /// How the question ended.
    pub outcome: CallOutcome,
    /// Why the prompt cache was missed, in the provider's words, where it says so.
    pub cache_miss: Option<String>,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With a whole answer.
    Complete,
    /// With an answer by which the model declines, after it had begun another.
    Declined,
    /// With part of an answer: the model's stream was cut.
    Cut,
    /// With part of an answer or none: the caller went away.
    Abandoned,
    /// With no answer at all.
    Failed,
}

/// A question that went on to the next model of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackNote {
    /// The route asked for.
    pub route: RouteName,
    /// The model that was passed over.
    pub from_model: String,
    /// The one that is asked next.
    pub to_model: String,
    /// Why.
    pub class: FallbackClass,
    /// The same in the provider's or our words, without secrets.
    pub words: String,
}

/// Why a call may not be made.
#[derive(Debug, Error)]
pub enum ReserveError {
    /// The budget does not cover the call.
    #[error("{reason}")]
    Refused {
        /// Which budget, its size and what to do.
        reason: String,
    },
    /// The attempt that asks is over.
    #[error("the attempt is over: it may ask no model any more")]
    Superseded,
    /// The budgets cannot be read.
    #[error("the budget cannot be checked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the cost of a call was not written down; nothing was.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A retry may help: the database is busy, or its disk is full.
    #[error("the cost of a model call could not be recorded for now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A retry does not help: the call no longer belongs to this process.
    #[error("the cost of a model call could not be recorded")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The hook around every call.
pub trait CallMeter: Send + Sync + 'static {
    /// Asks whether `caller` may make a call, before any upstream hears of it. Until it is recorded, a
    /// granted call counts against the budgets of all others with what it may cost, also where this process ends
    /// at once; after a loss of power once [`ReservedCall::wait_kept`] has ended.
    fn reserve_call<'a>(
        &'a self,
        caller: &'a ModelCaller,
        projection: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>>;

    /// Reports a failed try, while the caller waits for the next one or for the error.
    fn report_failure<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, ()>;

    /// Reports that a question of `caller` goes on to the next model of its list.
    fn report_fallback<'a>(
        &'a self,
        caller: &'a ModelCaller,
        note: &'a FallbackNote,
    ) -> BoxFuture<'a, ()>;

    /// Keeps with the attempt that asks that the reasoning in its conversation, as far as it stands there
    /// as it was written, is that of `maker`, unless another was kept before, by it or by the attempt that
    /// it goes on from. Gives the one that is kept; none where it cannot be told.
    fn keep_maker<'a>(
        &'a self,
        caller: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>>;

    /// Ends the attempt that asks, whose provider turned it away with `failed` until no try was left, so
    /// that it goes on later. False where nobody is to go on: the caller then gets the failure.
    fn save_attempt<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, bool>;
}

/// A granted call. Dropped without a record, the meter has to settle it by itself.
#[must_use = "a reserved call counts against the budgets until it is recorded"]
pub trait ReservedCall: Send + Sync {
    /// Raises what the call may cost to `cost`, its tries so far and the next one together: a try that failed
    /// may be billed as well. Refused where a budget has no room for it; the reservation stays as it was.
    fn raise_cost(&self, cost: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>>;

    /// Waits until the grant outlives a loss of power. The upstream may be asked meanwhile; nothing that it says
    /// is told before.
    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>>;

    /// Reports what the call cost, in place of what it might have. Every granted call is recorded, also
    /// when it failed or its caller went away, before the caller learns of the end; again after a
    /// failure that may pass.
    fn record_usage<'a>(&'a self, usage: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>>;
}
