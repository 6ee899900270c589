//! What agents and people say came of tasks and tickets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{ProjectId, TaskId, TaskResultId, TicketId, UserId, WorkflowResultId};
use omoi_domain::work_result::{
    OnResultFound, ResultType, VerificationStatus, WorkflowResultStatus,
};

use super::example::{EXAMPLE_TASK, EXAMPLE_TICKET, EXAMPLE_WORKFLOW_RESULT};
use super::ticket::ActorView;
use super::time::ApiTime;

/// What somebody says came of a task. `GET /tasks/{task_id}/results`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskResultView {
    /// Row id of the result.
    pub id: TaskResultId,
    /// Its project.
    pub project_id: ProjectId,
    /// The task.
    pub task_id: TaskId,
    /// What it tells of.
    pub result_type: ResultType,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown.
    pub markdown: String,
    /// Whether what it says holds: the checks of the task say so of what its agents submit, people of everything.
    pub verification_status: VerificationStatus,
    /// Who submitted it.
    pub submitted_by: ActorView,
    /// The person who judged it.
    pub judged_by_id: Option<UserId>,
    /// When it was judged.
    pub judged_at: Option<ApiTime>,
    /// Why it was judged so.
    pub feedback: Option<String>,
    /// When it was submitted.
    pub created_at: ApiTime,
}

/// What somebody says came of a ticket. `GET /workflows/{workflow_id}/results`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowResultView {
    /// Row id of the result.
    pub id: WorkflowResultId,
    /// Its project.
    pub project_id: ProjectId,
    /// The ticket.
    pub workflow_id: TicketId,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown.
    pub markdown: String,
    /// What it is to meet.
    pub criteria: Vec<String>,
    /// Whether it does.
    pub status: WorkflowResultStatus,
    /// Who submitted it.
    pub submitted_by: ActorView,
    /// The person who judged it.
    pub judged_by_id: Option<UserId>,
    /// When they did.
    pub judged_at: Option<ApiTime>,
    /// What they said.
    pub feedback: Option<String>,
    /// The criteria that it does not meet.
    pub unmet_criteria: Vec<String>,
    /// When it was submitted.
    pub created_at: ApiTime,
}

/// What came of a task. `POST /report_results`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "task_id": EXAMPLE_TASK, "result_type": "analysis", "summary": "Where dates are parsed",
    "markdown": "# Dates\n\nThey are parsed in `src/dates.py` alone."
}))]
#[serde(deny_unknown_fields)]
pub struct ReportTaskResult {
    /// Row id of the task, or `TSK-n`.
    pub task_id: String,
    /// What it tells of.
    pub result_type: ResultType,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown, at most 102,400 bytes.
    pub markdown: String,
}

/// What came of a ticket. `POST /submit_result`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "workflow_id": EXAMPLE_TICKET, "summary": "Todos are exported",
    "markdown": "# Export\n\n10,000 todos take 0.8 s."
}))]
#[serde(deny_unknown_fields)]
pub struct SubmitWorkflowResult {
    /// Row id of the ticket, or `TKT-n`.
    pub workflow_id: String,
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown, at most 102,400 bytes.
    pub markdown: String,
}

/// What somebody says of a result. `POST /submit_result_validation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "result_id": EXAMPLE_WORKFLOW_RESULT, "passed": false, "feedback": "It takes 3 s here."
}))]
#[serde(deny_unknown_fields)]
pub struct JudgeResult {
    /// Row id of a result of a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_id: Option<WorkflowResultId>,
    /// Row id of a result of a task, in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_result_id: Option<TaskResultId>,
    /// Whether it passes.
    pub passed: bool,
    /// Why; at most 5,000 characters, and none for one that passes.
    #[serde(default)]
    pub feedback: String,
    /// The criteria that it does not meet, in their words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet_criteria: Vec<String>,
}

/// A result after somebody judged it. `POST /submit_result_validation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JudgedResult {
    /// Of a ticket.
    pub workflow_result: Option<WorkflowResultView>,
    /// Of a task.
    pub task_result: Option<TaskResultView>,
}

/// What a ticket asks of its result. `GET` and `PUT /workflows/{workflow_id}/result-criteria`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "result_criteria": ["10,000 todos are exported within a second"], "on_result_found": "stop_all"
}))]
#[serde(deny_unknown_fields)]
pub struct WorkflowCriteria {
    /// What it has to meet, in words: 1 to 20 of at most 500 characters.
    pub result_criteria: Vec<String>,
    /// What follows when one does.
    pub on_result_found: OnResultFound,
}
