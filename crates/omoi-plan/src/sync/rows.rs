//! The rows a plan becomes, named by ids local to the plan.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use omoi_domain::check::CheckKind;
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::{Priority, TaskType};

use crate::ears::EarsClause;
use crate::outputs::tasks::{PlannedTaskType, SizeEstimate};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// A requirement.
    Requirement,
    /// An acceptance criterion.
    Criterion,
    /// A ticket.
    Ticket,
    /// An order between two tickets.
    TicketEdge,
    /// A task.
    Task,
    /// An order between two tasks.
    TaskEdge,
    /// A check.
    Check,
    /// A criterion that a check proves.
    CheckCriterion,
}

/// The identity of a row inside its spec. Titles never identify anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RowKey {
    /// What the row is.
    pub kind: RowKind,
    /// Its id in the plan; edges and links join two ids with a space.
    pub local_id: String,
}

impl RowKey {
    /// The key of the row of `kind` called `local_id`.
    pub fn new(kind: RowKind, local_id: impl Into<String>) -> Self {
        let local_id = local_id.into();
        Self { kind, local_id }
    }

    /// The key of a row that joins `first` and `second`: dependent then prerequisite, or check
    /// then criterion.
    pub fn pair(kind: RowKind, first: &str, second: &str) -> Self {
        Self::new(kind, format!("{first} {second}"))
    }

    /// Which rows an edge joins; none of another row.
    pub fn edge_ends(&self) -> Option<EdgeEnds<'_>> {
        match self.kind {
            RowKind::TicketEdge | RowKind::TaskEdge => {
                let (dependent, prerequisite) = self.local_id.split_once(' ')?;
                Some(EdgeEnds {
                    dependent,
                    prerequisite,
                })
            }
            _ => None,
        }
    }
}

/// The rows that an edge joins, by their ids in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeEnds<'a> {
    /// What waits.
    pub dependent: &'a str,
    /// What it waits for.
    pub prerequisite: &'a str,
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.local_id)
    }
}

/// A requirement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequirementRow {
    /// `REQ-…`.
    pub local_id: String,
    /// Place in the plan, from 0.
    pub ordinal: u32,
    /// At most 500 characters.
    pub title: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: RequirementType,
    /// How much it matters.
    pub priority: Priority,
    /// The sentence as written.
    pub body: String,
    /// When it applies; empty when always, or when the sentence is not EARS.
    pub condition: String,
    /// What the system does; the whole sentence when it is not EARS.
    pub action: String,
    /// The condition clause by clause.
    pub clauses: Vec<EarsClause>,
    /// Names of the design components that serve it.
    pub linked_design: Vec<String>,
    /// Digest of the normalised sentence.
    pub content_hash: String,
}

/// An acceptance criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriterionRow {
    /// `<requirement>#<n>`.
    pub local_id: String,
    /// The requirement it belongs to.
    pub requirement: String,
    /// Place in the requirement, from 1.
    pub ordinal: u32,
    /// What must hold.
    pub body: String,
    /// Digest of the normalised text.
    pub content_hash: String,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TicketRow {
    /// `TKT-NNN`.
    pub local_id: String,
    /// Place in the plan, from 0.
    pub ordinal: u32,
    /// Title.
    pub title: String,
    /// Text for the agents.
    pub description: String,
    /// How much it matters.
    pub priority: Priority,
    /// Size.
    pub estimate: SizeEstimate,
    /// Requirements it serves.
    pub requirements: Vec<String>,
    /// Design components it builds.
    pub design_components: Vec<String>,
    /// When it is done.
    pub acceptance_criteria: Vec<String>,
    /// Tickets worth reading; no order follows.
    pub related: Vec<String>,
}

/// An order between tickets or tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EdgeRow {
    /// What waits.
    pub dependent: String,
    /// What it waits for.
    pub prerequisite: String,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskRow {
    /// `TSK-NNN`.
    pub local_id: String,
    /// The ticket it belongs to.
    pub ticket: String,
    /// Place in the plan, from 0.
    pub ordinal: u32,
    /// Longest chain of tasks before it.
    pub level: u32,
    /// Title.
    pub title: String,
    /// Text for the agent.
    pub description: String,
    /// Kind of work as planned.
    pub planned_type: PlannedTaskType,
    /// What the queue and the agent know it as.
    pub task_type: TaskType,
    /// How much it matters.
    pub priority: Priority,
    /// Size.
    pub estimate: SizeEstimate,
    /// Weight in the critical path.
    pub estimated_hours: f64,
    /// Files it touches.
    pub files: TaskFiles,
    /// When it is done.
    pub acceptance_criteria: Vec<String>,
    /// Requirements it serves.
    pub requirements: Vec<String>,
}

/// Files a task says it will touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TaskFiles {
    /// New ones.
    pub create: Vec<String>,
    /// Changed ones.
    pub modify: Vec<String>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckRow {
    /// `<task>/<n>`.
    pub local_id: String,
    /// The task it belongs to.
    pub task: String,
    /// Place in the task, from 1.
    pub ordinal: u32,
    /// What it shows.
    pub kind: CheckKind,
    /// Shell command.
    pub command: String,
    /// Files laid over the checkout: path to text.
    pub files: BTreeMap<String, String>,
    /// Seconds after which it counts as failed.
    pub timeout_s: u32,
    /// How it ended on the base commit; none when it was not run there.
    pub base_exit: Option<i32>,
}

/// A criterion that a check proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckCriterionRow {
    /// `<task>/<n>`.
    pub check: String,
    /// `<requirement>#<n>`.
    pub criterion: String,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PlanRow {
    /// A requirement.
    Requirement(RequirementRow),
    /// An acceptance criterion.
    Criterion(CriterionRow),
    /// A ticket.
    Ticket(TicketRow),
    /// An order between two tickets.
    TicketEdge(EdgeRow),
    /// A task.
    Task(TaskRow),
    /// An order between two tasks.
    TaskEdge(EdgeRow),
    /// A check.
    Check(CheckRow),
    /// A criterion that a check proves.
    CheckCriterion(CheckCriterionRow),
}

impl PlanRow {
    /// What identifies the row.
    pub fn key(&self) -> RowKey {
        let edge = |kind, e: &EdgeRow| RowKey::pair(kind, &e.dependent, &e.prerequisite);
        match self {
            Self::Requirement(r) => RowKey::new(RowKind::Requirement, &r.local_id),
            Self::Criterion(c) => RowKey::new(RowKind::Criterion, &c.local_id),
            Self::Ticket(t) => RowKey::new(RowKind::Ticket, &t.local_id),
            Self::TicketEdge(e) => edge(RowKind::TicketEdge, e),
            Self::Task(t) => RowKey::new(RowKind::Task, &t.local_id),
            Self::TaskEdge(e) => edge(RowKind::TaskEdge, e),
            Self::Check(c) => RowKey::new(RowKind::Check, &c.local_id),
            Self::CheckCriterion(l) => {
                RowKey::pair(RowKind::CheckCriterion, &l.check, &l.criterion)
            }
        }
    }

    /// The rows whose progress protects this one from change: its own, and what it belongs to.
    pub(super) fn guards(&self) -> Vec<RowKey> {
        let mut guards = vec![self.key()];
        guards.extend(guard_of(&self.key()));
        guards
    }

    /// Every field by name, as compared with a stored row.
    pub fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            // Rows are structs of plain values.
            _ => Map::new(),
        }
    }
}

/// What a part of something belongs to, read off its id.
pub(super) fn guard_of(key: &RowKey) -> Option<RowKey> {
    let before = |mark| key.local_id.split(mark).next().unwrap_or_default();
    let dependent = || key.edge_ends().map(|ends| ends.dependent);
    match key.kind {
        RowKind::Requirement | RowKind::Ticket | RowKind::Task => None,
        RowKind::Criterion => Some(RowKey::new(RowKind::Requirement, before('#'))),
        RowKind::TicketEdge => dependent().map(|ticket| RowKey::new(RowKind::Ticket, ticket)),
        RowKind::TaskEdge => dependent().map(|task| RowKey::new(RowKind::Task, task)),
        RowKind::Check | RowKind::CheckCriterion => Some(RowKey::new(RowKind::Task, before('/'))),
    }
}
