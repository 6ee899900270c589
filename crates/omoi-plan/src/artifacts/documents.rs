//! The front matter of each kind of file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use omoi_domain::task::Priority;

use crate::artifacts::frontmatter::FrontMatter;
use crate::outputs::design::{ApiEndpoint, ModelField};
use crate::outputs::tasks::{PlannedTaskType, SizeEstimate, TaskDependencies, TicketDependencies};

omoi_domain::closed_set! {
    /// How far a document has come.
    #[derive(JsonSchema)]
    DocumentStatus {
        /// Written by a phase.
        Draft = "draft",
        /// A person looks at it.
        Review = "review",
        /// A person or a gate accepted it.
        Approved = "approved",
    }
}

omoi_domain::closed_set! {
    /// Where a ticket stands, in the words of its file.
    #[derive(JsonSchema)]
    TicketFileStatus {
        /// Not released.
        Backlog = "backlog",
        /// Being looked into.
        Analyzing = "analyzing",
        /// Being built.
        Building = "building",
        /// Under test.
        Testing = "testing",
        /// All its work is merged.
        Done = "done",
        /// Stopped.
        Blocked = "blocked",
    }
}

omoi_domain::closed_set! {
    /// Where a task stands, in the words of its file.
    #[derive(JsonSchema)]
    TaskFileStatus {
        /// Not begun.
        Pending = "pending",
        /// An agent works.
        InProgress = "in_progress",
        /// Its checks run.
        Review = "review",
        /// Proven and merged.
        Done = "done",
        /// Stopped.
        Blocked = "blocked",
    }
}

omoi_domain::closed_set! {
    /// What a requirements document is mostly about.
    #[derive(JsonSchema)]
    DocumentCategory {
        /// Behaviour.
        Functional = "functional",
        /// Qualities.
        NonFunctional = "non-functional",
        /// Limits from outside.
        Constraint = "constraint",
    }
}

/// Heads `docs/prd-<feature>.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrdFront {
    /// `PRD-<FEATURE>-NNN`.
    pub id: String,
    /// Title.
    pub title: String,
    /// The feature in kebab case.
    #[serde(default)]
    pub feature: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// How far it has come.
    pub status: DocumentStatus,
    /// Version of the document.
    #[serde(default)]
    pub version: String,
}

impl FrontMatter for PrdFront {
    const REQUIRED: &'static [&'static str] = &["id", "title", "status", "created", "updated"];

    fn id(&self) -> &str {
        &self.id
    }
}

/// Heads `requirements/<feature>.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequirementsFront {
    /// `REQ-<FEATURE>-NNN`, the document.
    pub id: String,
    /// Title.
    pub title: String,
    /// The feature in kebab case.
    #[serde(default)]
    pub feature: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// How far it has come.
    pub status: DocumentStatus,
    /// What it is mostly about.
    #[serde(default)]
    pub category: Option<DocumentCategory>,
    /// The highest priority in it.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// The product requirements it follows.
    #[serde(default)]
    pub prd_ref: Option<String>,
    /// The design that follows it.
    #[serde(default)]
    pub design_ref: Option<String>,
}

impl FrontMatter for RequirementsFront {
    const REQUIRED: &'static [&'static str] = &["id", "title", "status", "created", "updated"];

    fn id(&self) -> &str {
        &self.id
    }
}

/// Heads `designs/<feature>.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesignFront {
    /// `DESIGN-<FEATURE>-NNN`.
    pub id: String,
    /// Title.
    pub title: String,
    /// The feature in kebab case.
    #[serde(default)]
    pub feature: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// How far it has come.
    pub status: DocumentStatus,
    /// Every requirement a component serves.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// Every endpoint.
    #[serde(default)]
    pub api_endpoints: Vec<ApiEndpoint>,
    /// Every data model.
    #[serde(default)]
    pub data_models: Vec<ModelFront>,
}

impl FrontMatter for DesignFront {
    const REQUIRED: &'static [&'static str] = &["id", "title", "status", "created", "updated"];

    fn id(&self) -> &str {
        &self.id
    }
}

/// A data model in the head of a design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFront {
    /// Name.
    pub name: String,
    /// What it stands for.
    #[serde(default)]
    pub description: Option<String>,
    /// Table or file that holds it.
    #[serde(default)]
    pub table_name: Option<String>,
    /// Its fields.
    #[serde(default)]
    pub typed_fields: Vec<ModelField>,
    /// Text or object each.
    #[serde(default)]
    pub relationships: Vec<Value>,
}

/// Heads `tickets/TKT-NNN.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketFront {
    /// `TKT-NNN`.
    pub id: String,
    /// Title.
    pub title: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// Where it stands.
    pub status: TicketFileStatus,
    /// How much it matters.
    pub priority: Priority,
    /// Size.
    pub estimate: SizeEstimate,
    /// The feature in kebab case.
    #[serde(default)]
    pub feature: String,
    /// Requirements it serves.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The design it follows.
    #[serde(default)]
    pub design_ref: Option<String>,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Who has it.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Other tickets.
    #[serde(default)]
    pub dependencies: TicketDependencies,
}

impl FrontMatter for TicketFront {
    const REQUIRED: &'static [&'static str] = &[
        "id", "title", "status", "priority", "estimate", "created", "updated",
    ];

    fn id(&self) -> &str {
        &self.id
    }
}

/// Heads `tasks/TSK-NNN.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFront {
    /// `TSK-NNN`.
    pub id: String,
    /// Title.
    pub title: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Where it stands.
    pub status: TaskFileStatus,
    /// The ticket it belongs to.
    pub parent_ticket: String,
    /// Kind of work.
    #[serde(rename = "type", default)]
    pub kind: Option<PlannedTaskType>,
    /// How much it matters.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Size.
    pub estimate: SizeEstimate,
    /// Who has it.
    #[serde(default)]
    pub assignee: Option<String>,
    /// New files.
    #[serde(default)]
    pub files_to_create: Vec<String>,
    /// Changed files.
    #[serde(default)]
    pub files_to_modify: Vec<String>,
    /// Requirements it serves.
    #[serde(default)]
    pub requirements_addressed: Vec<String>,
    /// Other tasks.
    #[serde(default)]
    pub dependencies: TaskDependencies,
}

impl FrontMatter for TaskFront {
    const REQUIRED: &'static [&'static str] = &[
        "id",
        "title",
        "status",
        "parent_ticket",
        "estimate",
        "created",
    ];

    fn id(&self) -> &str {
        &self.id
    }
}

/// Heads `tasks/index.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexFront {
    /// `TASKS-<spec>`.
    pub id: String,
    /// Title.
    pub title: String,
    /// The spec's row id.
    pub spec_id: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// How far it has come.
    pub status: DocumentStatus,
    /// Tasks.
    pub total_tasks: usize,
    /// Tickets.
    pub total_tickets: usize,
    /// Sum of the task hours.
    pub total_estimated_hours: f64,
    /// Longest chain of task ids.
    #[serde(default)]
    pub critical_path: Vec<String>,
}

impl FrontMatter for IndexFront {
    const REQUIRED: &'static [&'static str] = &[
        "id",
        "title",
        "spec_id",
        "created",
        "updated",
        "status",
        "total_tasks",
        "total_tickets",
        "total_estimated_hours",
    ];

    fn id(&self) -> &str {
        &self.id
    }
}

/// Heads `SPEC_SUMMARY.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SummaryFront {
    /// `SPEC-<spec>`.
    pub id: String,
    /// Title.
    pub title: String,
    /// The spec's row id.
    pub spec_id: String,
    /// Date, `YYYY-MM-DD`.
    pub created: String,
    /// Date, `YYYY-MM-DD`.
    pub updated: String,
    /// Whether execution may start.
    pub ready_for_execution: bool,
    /// Requirements.
    pub total_requirements: usize,
    /// Tasks.
    pub total_tasks: usize,
    /// Sum of the task hours.
    pub total_estimated_hours: f64,
}

impl FrontMatter for SummaryFront {
    const REQUIRED: &'static [&'static str] = &[
        "id",
        "title",
        "spec_id",
        "created",
        "updated",
        "ready_for_execution",
        "total_requirements",
        "total_tasks",
        "total_estimated_hours",
    ];

    fn id(&self) -> &str {
        &self.id
    }
}
