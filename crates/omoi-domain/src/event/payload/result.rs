//! What events of results carry.

use serde::{Deserialize, Serialize};

use crate::id::{TaskId, TaskResultId, TicketId, WorkflowResultId};
use crate::work_result::{OnResultFound, VerificationStatus, WorkflowResultStatus};

/// A result of a task was submitted or judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResultChange {
    /// Row id of the result.
    pub task_result_id: TaskResultId,
    /// Row id of the task.
    pub task_id: TaskId,
    /// Whether what it says holds.
    pub verification_status: VerificationStatus,
    /// Its summary.
    pub summary: String,
}

/// A result of a ticket was submitted or judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowResultChange {
    /// Row id of the result.
    pub workflow_result_id: WorkflowResultId,
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// Whether it meets the criteria.
    pub result_status: WorkflowResultStatus,
    /// Its summary.
    pub summary: String,
}

/// The criteria for the result of a ticket were set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultCriteriaChange {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// How many there are.
    pub n_criteria: u32,
    /// What follows when a result meets them.
    pub on_result_found: OnResultFound,
}
