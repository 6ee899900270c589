//! What people change of tasks: their words, their time, and what they wait for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::{Priority, TaskStatus};

use super::spec::given_value;
use super::time::ApiTime;

/// Body of `PATCH /tasks/{task_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "priority": "HIGH", "deadline_at": "2027-01-31T17:00:00.000Z" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateTask {
    /// Another title, of up to 500 characters in one line.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub title: Option<String>,
    /// What its agent is told, of 1 to 50,000 characters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub description: Option<String>,
    /// How much it matters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Priority)]
    pub priority: Option<Priority>,
    /// When it is due; `null` takes that away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<ApiTime>)]
    pub deadline_at: Option<Option<ApiTime>>,
    /// Whether it starts although its project's tasks do not start by themselves.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = bool)]
    pub force_execute: Option<bool>,
}

/// Body of `POST /tasks/{task_id}/fail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "reason": "The library it needs is gone." }))]
#[serde(deny_unknown_fields)]
pub struct FailTask {
    /// Why no try of it would come to anything, of 1 to 2,000 characters.
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
}

/// Body of `POST /tasks/{task_id}/set-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "timeout_seconds": 1800 }))]
#[serde(deny_unknown_fields)]
pub struct SetTaskTimeout {
    /// Wall time of one attempt, in seconds.
    #[schema(minimum = 60, maximum = 86400)]
    pub timeout_seconds: u32,
}

/// `GET /tasks/{task_id}/timeout-status`: how long attempts at a task may run, and the one at work has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskTimeout {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Reference within its project, `TSK-n`.
    pub task_ref: String,
    /// Wall time of one attempt that the task asks for, in seconds.
    pub timeout_seconds: i64,
    /// Wall time that an attempt has: no more than deployment and repository allow, in seconds.
    pub limit_seconds: u64,
    /// The attempt at work; none while no agent works on it.
    pub attempt_id: Option<AttemptId>,
    /// When its agent began.
    pub started_at: Option<ApiTime>,
    /// When its time is over.
    pub ends_at: Option<ApiTime>,
    /// Seconds that it has run.
    pub elapsed_seconds: Option<i64>,
    /// Seconds that it has left; 0 once its time is over.
    pub remaining_seconds: Option<i64>,
    /// Whether its time was over long enough for its agent to have said so.
    pub is_timed_out: bool,
}

/// Tasks that are to come before another one. `POST` and `PUT /tasks/{task_id}/dependencies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "depends_on": ["01930000-0000-7000-8000-000000000009"] }))]
#[serde(deny_unknown_fields)]
pub struct DependencyList {
    /// Their row ids, or their references `TSK-n` in the project of the task; 100 at most.
    #[schema(max_items = 100)]
    pub depends_on: Vec<String>,
}

/// `GET /tasks/{task_id}/dependencies`: what a task waits for, and what waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskPrerequisites {
    /// Row id of the task.
    pub task_id: TaskId,
    /// Tasks that come before it.
    pub depends_on: Vec<DependencyView>,
    /// Tasks that it comes before.
    pub blocks: Vec<DependencyView>,
    /// Whether everything that comes before it has landed.
    pub is_ready: bool,
}

/// A task at the other end of a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DependencyView {
    /// Row id of the task.
    pub id: TaskId,
    /// Reference within its project, `TSK-n`.
    pub task_ref: String,
    /// Title shown to people.
    pub title: String,
    /// Current stage of its life cycle.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
}

/// Whether tasks would wait for each other. `POST /tasks/{task_id}/check-circular`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CircularCheck {
    /// Whether they would.
    pub is_circular: bool,
    /// The tasks that would, each before the next and the first once more at the end; empty where none would.
    pub cycle: Vec<String>,
}
