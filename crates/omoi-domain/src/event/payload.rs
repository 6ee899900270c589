//! What events carry.

use serde::{Deserialize, Serialize};

use crate::ablation::AblationVerdict;
use crate::agent_event::AgentEventKind;
use crate::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use crate::block::{SpecBlock, TaskBlock};
use crate::check::{CheckKind, CheckStage};
use crate::discovery::DiscoveryType;
use crate::id::{
    AttemptId, CheckId, DiscoveryId, HandOverId, MergeId, MessageId, ReceiptId, SandboxId, SpecId,
    TaskId, TicketId,
};
use crate::merge::{IntegrationState, MergeState};
use crate::message::MessageType;
use crate::money::NanoUsd;
use crate::opinion::CheckDoubt;
use crate::phase::Phase;
use crate::principal::PurposeKind;
use crate::sandbox::{SandboxRung, SandboxState};
use crate::spec::SpecStatus;
use crate::task::{TaskStatus, TaskType};
use crate::ticket::TicketStatus;
use crate::time::Timestamp;

/// A spec moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecChange {
    /// The spec.
    pub spec_id: SpecId,
    /// `n` of `SPEC-n`.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Status before; none when it was created.
    pub from: Option<SpecStatus>,
    /// Status after.
    pub to: SpecStatus,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<SpecBlock>,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// A phase moved or was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseChange {
    /// The spec.
    pub spec_id: SpecId,
    /// The phase.
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
    /// The spec.
    pub spec_id: SpecId,
    /// The model that was asked.
    pub model: String,
    /// Whether it is the model that wrote the plan, asked afresh.
    pub is_same_model: bool,
    /// What it doubts.
    pub doubts: Vec<CheckDoubt>,
    /// Why there is no opinion, where there is none.
    pub skipped: Option<String>,
}

/// An item of a phase was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemAccepted {
    /// The spec.
    pub spec_id: SpecId,
    /// The phase.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// The item's key.
    pub key: String,
    /// Position in the phase's journal.
    pub seq: i64,
}

/// What sync wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncDone {
    /// The spec.
    pub spec_id: SpecId,
    /// Tickets written.
    pub tickets: u32,
    /// Tasks written.
    pub tasks: u32,
    /// Requirements written.
    pub requirements: u32,
    /// Criteria written.
    pub criteria: u32,
    /// Checks written.
    pub checks: u32,
    /// Share of requirements covered, 0 to 100.
    pub coverage_percent: f64,
}

/// A planning run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanningEnded {
    /// The spec.
    pub spec_id: SpecId,
    /// Whether every phase passed.
    pub success: bool,
    /// Phases that passed.
    pub phases_completed: Vec<Phase>,
    /// The phase that failed, if one did.
    pub failed_phase: Option<Phase>,
}

/// A ticket was written or moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketChange {
    /// The ticket.
    pub ticket_id: TicketId,
    /// `n` of `TKT-n`.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Status before; none when it was created.
    pub from: Option<TicketStatus>,
    /// Status after.
    pub to: TicketStatus,
}

/// A task was written or moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskChange {
    /// The task.
    pub task_id: TaskId,
    /// Its ticket.
    pub ticket_id: TicketId,
    /// `n` of `TSK-n`.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Its type.
    pub task_type: TaskType,
    /// Status before; none when it was created.
    pub from: Option<TaskStatus>,
    /// Status after.
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

/// An attempt moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptChange {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// What it tries.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Times the subject was sent back.
    pub round: u32,
    /// Its fence.
    pub fence: i64,
    /// State before.
    pub from: AttemptState,
    /// State after.
    pub to: AttemptState,
    /// Why it ended.
    pub stop_reason: Option<AttemptStopReason>,
    /// The sandbox rung it ran on.
    pub rung: Option<SandboxRung>,
}

/// An agent did something worth showing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// What it tries.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// The worker's event.
    pub kind: AgentEventKind,
    /// One line for people.
    pub summary: String,
    /// Lines added so far by this event.
    pub lines_added: u32,
    /// Lines removed by this event.
    pub lines_removed: u32,
}

/// A sandbox moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SandboxChange {
    /// The sandbox.
    pub sandbox_id: SandboxId,
    /// Its attempt.
    pub attempt_id: AttemptId,
    /// State before.
    pub from: SandboxState,
    /// State after.
    pub to: SandboxState,
    /// The rung it runs on.
    pub rung: SandboxRung,
    /// Why it ended.
    pub reason: Option<AttemptStopReason>,
}

/// A message waits for an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageChange {
    /// The message.
    pub message_id: MessageId,
    /// The task steered.
    pub task_id: TaskId,
    /// What it is.
    pub message_type: MessageType,
    /// The first 100 characters.
    pub content: String,
}

/// A check was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptDone {
    /// The receipt.
    pub receipt_id: ReceiptId,
    /// The check.
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
    /// The command.
    pub command: String,
    /// Wall time.
    pub took_ms: i64,
}

/// A requirement's proofs were run without the work that serves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblationDone {
    /// The spec.
    pub spec_id: SpecId,
    /// `REQ-…`
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

/// A merge moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergeChange {
    /// The merge, where a row exists.
    pub merge_id: Option<MergeId>,
    /// The task whose commits it lands.
    pub task_id: TaskId,
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// The integration branch.
    pub target_branch: String,
    /// The merge's state after, where a row exists.
    pub merge_state: Option<MergeState>,
    /// The task's integration state after.
    pub state: IntegrationState,
    /// Paths in conflict.
    pub conflicts: Vec<String>,
    /// The landed commit.
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
    /// The discovery.
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
    /// One line.
    pub title: String,
    /// Why nothing was spawned.
    pub refused: Option<String>,
}

/// A branch was handed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandOverDone {
    /// The hand-over.
    pub hand_over_id: HandOverId,
    /// The spec.
    pub spec_id: SpecId,
    /// The branch in the user's repository.
    pub branch: String,
    /// Its head.
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
    /// What it tries.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// Role of the caller.
    pub role: AgentRole,
    /// Who was asked: a host, or the simulated model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The status it answered with, where it answered.
    pub status: Option<u16>,
    /// The provider's own words, or what kept it from having any.
    pub message: String,
    /// Tries so far.
    pub n_calls: u32,
    /// The most there are.
    pub calls_max: u32,
    /// When it is tried again; none where that does not help, or no try is left.
    pub next_at: Option<Timestamp>,
    /// Until when it is tried.
    pub until: Timestamp,
}

impl CallFailed {
    /// The failure and what follows, on one line.
    pub fn line(&self) -> String {
        let said = match self.status {
            Some(status) => format!("answered {status}"),
            None => "gave no answer".to_owned(),
        };
        let next = match self.next_at {
            Some(at) => format!(
                "try {} of {} at {}, until {}",
                self.n_calls + 1,
                self.calls_max,
                at.time_of_day(),
                self.until.time_of_day()
            ),
            None => "not tried again by this call".to_owned(),
        };
        format!("{} {said}: {}; {next}", self.provider, self.message)
    }
}

/// A model call was paid for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostDone {
    /// What it was for.
    pub purpose: PurposeKind,
    /// The attempt that asked, if one did.
    pub attempt_id: Option<AttemptId>,
    /// Role of the asker.
    pub role: AgentRole,
    /// Model that answered.
    pub model: String,
    /// Tokens in and out.
    pub tokens: i64,
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Milliseconds the model took.
    pub latency_ms: i64,
    /// Nobody knows the price: the process that asked did not record it, and this is what it may be.
    pub estimated: bool,
}
