//! What events of tasks, attempts and sandboxes carry.

use serde::{Deserialize, Serialize};

use crate::agent_event::AgentEventKind;
use crate::attempt::{AttemptState, AttemptStopReason, AttemptSubject};
use crate::block::TaskBlock;
use crate::id::{AttemptId, OperationId, SandboxId, TaskId, TicketId};
use crate::operation::{OperationKind, OperationStatus};
use crate::sandbox::{SandboxRung, SandboxState};
use crate::task::{TaskStatus, TaskType};

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
