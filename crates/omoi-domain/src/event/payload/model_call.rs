//! What events of model calls, costs and budgets carry.

use serde::{Deserialize, Serialize};

use crate::attempt::{AgentRole, AttemptSubject};
use crate::id::{AttemptId, MonthBudgetId, ProjectId};
use crate::model_fallback::FallbackClass;
use crate::model_route::RouteName;
use crate::money::NanoUsd;
use crate::principal::PurposeKind;
use crate::time::Timestamp;

/// A try of a model call failed. Told once for each failure of a question: further tries that fail
/// alike are no news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailed {
    /// The attempt that asked.
    pub attempt_id: AttemptId,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Role of the caller.
    pub role: AgentRole,
    /// Who was asked: a host, or the simulated model.
    pub provider: String,
    /// Name of the model that was asked.
    pub model: String,
    /// The status it answered with, where it answered.
    pub status: Option<u16>,
    /// The provider's own words, or what kept it from having any.
    pub message: String,
    /// Number of calls made so far.
    pub n_calls: u32,
    /// The most there are.
    pub calls_max: u32,
    /// When it is tried again; none where that does not help, or no try is left.
    pub next_at: Option<Timestamp>,
    /// Until when it is tried.
    pub until: Timestamp,
    /// Whether the provider has turned the call away for so long that the attempt waits for it.
    #[serde(default)]
    pub is_waiting: bool,
}

impl CallFailed {
    /// The failure and what follows, on one line.
    pub fn one_line(&self) -> String {
        let answer = answer_words(self.status);
        let next = match self.next_at {
            Some(at) if self.is_waiting => format!(
                "waits, next try at {}, until {}",
                at.time_of_day(),
                self.until.time_of_day()
            ),
            Some(at) => format!(
                "try {} of {} at {}, until {}",
                self.n_calls + 1,
                self.calls_max,
                at.time_of_day(),
                self.until.time_of_day()
            ),
            None => "not tried again by this call".to_owned(),
        };
        format!("{} {answer}: {}; {next}", self.provider, self.message)
    }
}

/// A question went on to the next model of its list. Told once for each attempt, pair of models and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFallback {
    /// The attempt that asked.
    pub attempt_id: AttemptId,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Role of its agent.
    pub role: AgentRole,
    /// What was asked for.
    pub route: RouteName,
    /// The model that was passed over.
    pub from_model: String,
    /// The one that was asked in its place.
    pub to_model: String,
    /// Why.
    pub class: FallbackClass,
    /// The same in the provider's or the platform's words.
    pub message: String,
}

impl ModelFallback {
    /// What happened, on one line.
    pub fn one_line(&self) -> String {
        let Self {
            from_model,
            to_model,
            class,
            message,
            ..
        } = self;
        let why = class.reason_words();
        format!("asks {to_model} in the place of {from_model}: {why} ({message})")
    }
}

/// An attempt was saved because its model provider turned it away: its turns, its session and its work
/// are kept, its sandbox has ended, and it goes on later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAttempt {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Role of its agent.
    pub role: AgentRole,
    /// Who turned it away: a host, or the simulated model.
    pub provider: String,
    /// The status it answered with, where it answered.
    pub status: Option<u16>,
    /// The provider's own words, or what kept it from having any.
    pub message: String,
    /// When it goes on.
    pub wakes_at: Timestamp,
}

impl SavedAttempt {
    /// What happened and what follows, on one line.
    pub fn one_line(&self) -> String {
        let Self {
            provider,
            message,
            wakes_at,
            ..
        } = self;
        let answer = answer_words(self.status);
        let at = wakes_at.date_and_time();
        format!("{provider} {answer}: {message}; the work is saved and goes on at {at}")
    }
}

/// How a provider answered a call that failed.
fn answer_words(status: Option<u16>) -> String {
    match status {
        Some(status) => format!("answered {status}"),
        None => "gave no answer".to_owned(),
    }
}

/// A model call was paid for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostDone {
    /// What it was for.
    pub purpose: PurposeKind,
    /// The attempt that asked, if one did.
    pub attempt_id: Option<AttemptId>,
    /// Role of the caller.
    pub role: AgentRole,
    /// Name of the model that answered.
    pub model: String,
    /// Tokens in and out.
    pub tokens: i64,
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Milliseconds the model took.
    pub latency_ms: i64,
    /// Some of the tokens are an estimate, because the provider did not tell them.
    pub estimated: bool,
    /// The process that asked did not record the call, and this is what it may have cost.
    pub unrecorded: bool,
}

/// A person made, changed or removed the budget of an organisation or a project for a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetChange {
    /// Row id of the budget.
    pub month_budget_id: MonthBudgetId,
    /// The project whose budget it is; none of an organisation's.
    pub project_id: Option<ProjectId>,
    /// The most that may be spent in a month; none once it is removed.
    pub limit_nanousd: Option<NanoUsd>,
    /// Whether calls without room are refused.
    pub is_hard: bool,
}

/// A month's budget reached a level, the first time in its month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetLevelReached {
    /// Row id of the budget.
    pub month_budget_id: MonthBudgetId,
    /// The project whose budget it is; none of an organisation's.
    pub project_id: Option<ProjectId>,
    /// The month, by its first instant.
    pub month_start: Timestamp,
    /// The most that may be spent.
    pub limit_nanousd: NanoUsd,
    /// What is spent.
    pub spent_nanousd: NanoUsd,
}
