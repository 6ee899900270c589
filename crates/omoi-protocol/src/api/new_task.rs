//! A task that a person wants for a ticket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::task::{Priority, TaskType, TicketPhase};

/// Body of `POST /tasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "ticket_id": "01930000-0000-7000-8000-000000000006", "title": "Sort todos by label",
    "description": "`todo list --sort label` lists todos in the order of their labels.",
    "check": { "command": "sh todo.sh sort" }
}))]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// Row id of the ticket, or its reference `TKT-n` in the project of the request.
    pub ticket_id: String,
    /// 1 to 500 characters in one line. Left out where the work on the ticket is not begun: its first task is the ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What its agent is told, of up to 50,000 characters; the title where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The kind of work: `implement_feature`, `write_tests` or `fix_bug`.
    #[serde(default = "usual_type")]
    pub task_type: TaskType,
    /// How much it matters.
    #[serde(default = "usual_priority")]
    pub priority: Priority,
    /// The phase of its ticket that it belongs to.
    #[serde(default = "usual_phase")]
    pub phase_id: TicketPhase,
    /// Row ids of tasks of the same spec that must be done first, or their references `TSK-n`; 100 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub dependencies: Vec<String>,
    /// What shows that it is done; the suite of the project where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<TaskCheckBody>,
}

/// A command that shows that a task is done, and fails before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskCheckBody {
    /// Run by `sh -c` at the root of a clean checkout.
    pub command: String,
    /// Files laid over the checkout before it runs: path to full text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

const fn usual_type() -> TaskType {
    TaskType::ImplementFeature
}

const fn usual_priority() -> Priority {
    Priority::Medium
}

const fn usual_phase() -> TicketPhase {
    TicketPhase::Implementation
}
