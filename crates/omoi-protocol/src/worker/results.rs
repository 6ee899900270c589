//! What an agent says came of its task or its ticket. `POST /results`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{TaskResultId, WorkflowResultId};
use omoi_domain::work_result::{ResultScope, ResultType, VerificationStatus, WorkflowResultStatus};

/// A result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "scope": "task", "result_type": "analysis", "summary": "Where dates are parsed",
    "markdown": "# Dates\n\n`parse_iso_date` in `todo/dates.py` reads them all.",
}))]
pub struct ReportResult {
    /// The agent's own task, or the ticket of that.
    pub scope: ResultScope,
    /// What a result of a task tells of; `implementation` when absent.
    pub result_type: Option<ResultType>,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown.
    pub markdown: String,
}

/// Answer to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum ResultAck {
    /// It is about the task.
    Task {
        /// Row id of the result.
        result_id: TaskResultId,
        /// Whether what it says holds.
        status: VerificationStatus,
    },
    /// It is about the ticket.
    Workflow {
        /// Row id of the result.
        result_id: WorkflowResultId,
        /// Whether it meets the criteria.
        status: WorkflowResultStatus,
    },
}
