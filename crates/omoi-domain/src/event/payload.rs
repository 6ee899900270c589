//! What events carry.

mod project;
mod result;
mod thread;
mod ticket;

pub use project::*;
pub use result::*;
pub use thread::*;
pub use ticket::*;

use serde::{Deserialize, Serialize};

use crate::ablation::AblationVerdict;
use crate::agent_event::AgentEventKind;
use crate::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use crate::block::{SpecBlock, TaskBlock};
use crate::check::{CheckKind, CheckStage};
use crate::discovery::DiscoveryType;
use crate::id::{
    AttemptId, CheckId, DiscoveryId, HandOverId, MergeId, MonthBudgetId, OperationId, ProjectId,
    ReceiptId, SandboxId, SpecId, TaskId, TicketId,
};
use crate::merge::{IntegrationState, MergeState};
use crate::model_fallback::FallbackClass;
use crate::model_route::RouteName;
use crate::money::NanoUsd;
use crate::operation::{OperationKind, OperationStatus};
use crate::opinion::CheckDoubt;
use crate::phase::Phase;
use crate::principal::PurposeKind;
use crate::sandbox::{SandboxRung, SandboxState};
use crate::spec::SpecStatus;
use crate::task::{TaskStatus, TaskType};
use crate::time::Timestamp;

/// A spec was written or moved to another status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecChange {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The number `n` of its reference `SPEC-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// Status before; none when it was created.
    pub from: Option<SpecStatus>,
    /// Status after the change.
    pub to: SpecStatus,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<SpecBlock>,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// A phase moved or was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseChange {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The phase that moved or was judged.
    pub phase: Phase,
    /// Attempts begun, from 1.
    pub attempt: u32,
    /// The evaluator's score, where it spoke.
    pub score: Option<f64>,
    /// Whether the output passed, where the evaluator spoke.
    pub passed: Option<bool>,
    /// Codes of the blockers it found.
    pub blockers: Vec<String>,
    /// Failure kind, or why the phase moved.
    pub reason: Option<String>,
    /// What the next attempt is told.
    pub feedback: Option<String>,
    /// Milliseconds from the phase's first attempt to now, when it ended.
    pub took_ms: Option<i64>,
}

/// A second opinion on the checks of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanJudged {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The model that was asked.
    pub model: String,
    /// Whether it is the model that wrote the plan, asked afresh.
    pub is_same_model: bool,
    /// How checks could pass while their criteria are violated.
    pub doubts: Vec<CheckDoubt>,
    /// Why there is no opinion, where there is none.
    pub skipped: Option<String>,
}

/// An item of a phase was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemAccepted {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The phase whose output holds the item.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// Key of the item within its section.
    pub key: String,
    /// Position in the phase's journal.
    pub seq: i64,
}

/// How many rows of each kind sync wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncDone {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Number of tickets written.
    pub tickets: u32,
    /// Number of tasks written.
    pub tasks: u32,
    /// Number of requirements written.
    pub requirements: u32,
    /// Number of acceptance criteria written.
    pub criteria: u32,
    /// Number of checks written.
    pub checks: u32,
    /// Share of requirements covered, 0 to 100.
    pub coverage_percent: f64,
}

/// A planning run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanningEnded {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Whether every phase passed.
    pub success: bool,
    /// Phases that passed, in working order.
    pub phases_completed: Vec<Phase>,
    /// The phase that failed, if one did.
    pub failed_phase: Option<Phase>,
}

/// A task was written or moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskChange {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Row id of the ticket it belongs to.
    pub ticket_id: TicketId,
    /// The number `n` of its reference `TSK-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// Kind of work the task is.
    pub task_type: TaskType,
    /// Status before; none when it was created.
    pub from: Option<TaskStatus>,
    /// Status after the change.
    pub to: TaskStatus,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<TaskBlock>,
    /// The attempt at work, where there is one.
    pub attempt_id: Option<AttemptId>,
    /// Times it was sent back.
    pub round: u32,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// A person changed a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEdit {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Row id of the ticket it belongs to.
    pub ticket_id: TicketId,
    /// The number `n` of its reference `TSK-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// Names of the fields that changed, such as `priority`.
    pub fields: Vec<String>,
}

/// An attempt moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptChange {
    /// Row id of the attempt.
    pub attempt_id: AttemptId,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Times the subject was sent back.
    pub round: u32,
    /// Fence that the attempt holds; a lower one is stale.
    pub fence: i64,
    /// State before the change.
    pub from: AttemptState,
    /// State after the change.
    pub to: AttemptState,
    /// Reason for its end; none while it runs.
    pub stop_reason: Option<AttemptStopReason>,
    /// The sandbox rung it ran on.
    pub rung: Option<SandboxRung>,
}

/// An agent did something worth showing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentActivity {
    /// Row id of the attempt.
    pub attempt_id: AttemptId,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Kind of the worker's event that is shown.
    pub kind: AgentEventKind,
    /// One line for people.
    pub summary: String,
    /// Lines added so far by this event.
    pub lines_added: u32,
    /// Lines removed by this event.
    pub lines_removed: u32,
}

/// A sandbox moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SandboxChange {
    /// Row id of the sandbox.
    pub sandbox_id: SandboxId,
    /// Row id of the attempt that runs in it.
    pub attempt_id: AttemptId,
    /// State before the change.
    pub from: SandboxState,
    /// State after the change.
    pub to: SandboxState,
    /// The rung it runs on.
    pub rung: SandboxRung,
    /// Reason for its end; none while it runs.
    pub reason: Option<AttemptStopReason>,
}

/// Something that a sandbox asked for from outside was refused, the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EgressDenied {
    /// Row id of the attempt; none of a set-up.
    pub attempt_id: Option<AttemptId>,
    /// Row id of the task it works on.
    pub task_id: Option<TaskId>,
    /// Why, in one word of the proxy's.
    pub refusal: String,
    /// The host with its port, or the package with its version.
    pub subject: String,
    /// What a person can do about it, where a line of the configuration would let it through.
    pub remedy: Option<String>,
}

/// A task's commits ask for other packages than the commit they were cut from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DependencyChange {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Number of the task in its spec's project.
    pub number: i64,
    /// The last of its commits.
    pub commit: String,
    /// Versions that its lock files list and those before did not, as `npm:left-pad@1.3.0`; the first of many.
    pub added: Vec<String>,
    /// Versions that they list no more; the first of many.
    pub removed: Vec<String>,
}

impl DependencyChange {
    /// What changed, on one line.
    pub fn one_line(&self) -> String {
        let parts = [("added", &self.added), ("removed", &self.removed)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
        parts.join("; ")
    }
}

/// A check was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptDone {
    /// Row id of the receipt.
    pub receipt_id: ReceiptId,
    /// Row id of the check.
    pub check_id: CheckId,
    /// The task it was run for, where it was.
    pub task_id: Option<TaskId>,
    /// What the check shows.
    pub kind: CheckKind,
    /// Why it was run.
    pub stage: CheckStage,
    /// The commit it was run on.
    pub commit: String,
    /// Whether it exited 0.
    pub passed: bool,
    /// Its exit code; none when it was stopped.
    pub exit_code: Option<i32>,
    /// Command line of the check.
    pub command: String,
    /// Wall time of the command in milliseconds.
    pub took_ms: i64,
}

/// A requirement's proofs were run without the work that serves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblationDone {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Id of the requirement, `REQ-…`.
    pub requirement: String,
    /// The head the work was taken back from.
    pub head: String,
    /// `TSK-n` of the tasks whose commits were taken back.
    pub without: Vec<String>,
    /// What was found out about each criterion.
    pub verdicts: Vec<(String, AblationVerdict)>,
    /// Why nothing could be found out, where that is so.
    pub reason: Option<String>,
}

/// A merge moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergeChange {
    /// The merge, where a row exists.
    pub merge_id: Option<MergeId>,
    /// The task whose commits it lands.
    pub task_id: TaskId,
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// Integration branch that the merge moves.
    pub target_branch: String,
    /// The merge's state after, where a row exists.
    pub merge_state: Option<MergeState>,
    /// The task's integration state after.
    pub state: IntegrationState,
    /// Paths that both sides changed.
    pub conflicts: Vec<String>,
    /// Commit of the target branch by which it landed.
    pub result_sha: Option<String>,
    /// The task that resolves the conflict.
    pub resolve_task: Option<TaskId>,
    /// Other queued tasks, `n` of `TSK-n`, and in how many paths each would conflict with the target
    /// as it was when this merge had its turn.
    pub forecast: Vec<(i64, u32)>,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// Work found on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscoveryDone {
    /// Row id of the discovery.
    pub discovery_id: DiscoveryId,
    /// What kind of work it is.
    pub discovery_type: DiscoveryType,
    /// The task whose agent found it.
    pub source_task_id: TaskId,
    /// `n` of the source's `TSK-n`.
    pub source_number: i64,
    /// The task that carries it; none when a cap refused it.
    pub task_id: Option<TaskId>,
    /// `n` of the spawned `TSK-n`.
    pub number: Option<i64>,
    /// What was found, on one line.
    pub title: String,
    /// Why nothing was spawned.
    pub refused: Option<String>,
}

/// A branch was handed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandOverDone {
    /// Row id of the hand-over.
    pub hand_over_id: HandOverId,
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The branch in the user's repository.
    pub branch: String,
    /// Commit that the branch points at.
    pub head: String,
    /// Something the user should know, such as a name that was taken.
    pub note: Option<String>,
}

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

/// Work that a request asked for and does not wait for began, or is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationChange {
    /// Row id of the operation.
    pub operation_id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// Where it stands.
    pub status: OperationStatus,
    /// Why it failed, where it did.
    pub error: Option<String>,
}
