//! Projects as people make, show and change them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{OrgId, ProjectId};
use omoi_domain::project::ProjectStatus;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;

use super::spec::given_value;
use super::time::ApiTime;

/// `POST /projects`: begin a project, under a name or for a repository on the disk of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "Todo", "description": "Lists of things to do" }))]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// What people call it, of up to 255 characters; left out for a folder, which is called by the end of its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its tasks may start without a person. Those of a folder do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autonomous_execution_enabled: Option<bool>,
    /// Absolute path of a git repository on the disk of the process; with the token of its data folder alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_path: Option<String>,
}

/// Body of `PATCH /projects/{project_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "description": "Lists of things to do", "autonomous_execution_enabled": true }))]
#[serde(deny_unknown_fields)]
pub struct UpdateProject {
    /// Another name, of up to 255 characters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub name: Option<String>,
    /// Another description; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Whether work goes on in it. It is put away by `DELETE`, and by nothing here.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = WorkingStatus)]
    pub status: Option<WorkingStatus>,
    /// Whether its tasks may start without a person.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = bool)]
    pub autonomous_execution_enabled: Option<bool>,
    /// Another command that shows that what was handed over is deployed, of up to 4,000 characters; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub deploy_check: Option<Option<String>>,
}

omoi_domain::closed_set! {
    /// States that a person may give a project.
    WorkingStatus {
        /// Its tasks may start; one that was put away is taken back.
        Active = "active",
        /// What runs goes on; no task starts.
        Paused = "paused",
        /// As paused: there is nothing left to do.
        Completed = "completed",
    }
}

impl From<WorkingStatus> for ProjectStatus {
    fn from(status: WorkingStatus) -> Self {
        match status {
            WorkingStatus::Active => Self::Active,
            WorkingStatus::Paused => Self::Paused,
            WorkingStatus::Completed => Self::Completed,
        }
    }
}

/// A project as lists and commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectView {
    /// Row id of the project.
    pub id: ProjectId,
    /// Its organisation.
    pub organization_id: OrgId,
    /// What people call it.
    pub name: String,
    /// What stands before its numbers where others have the same: `todo` of `todo/SPEC-1`.
    pub key: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether work goes on in it.
    pub status: ProjectStatus,
    /// Whether its tasks may start without a person.
    pub autonomous_execution_enabled: bool,
    /// The command that shows that what was handed over is deployed, in a sandbox at that commit. Without one tickets are done
    /// once they are tested.
    #[serde(default)]
    pub deploy_check: Option<String>,
    /// Its repository on the disk of the process, told to the token of its data folder alone.
    pub repo_path: Option<String>,
    /// How much there is in it.
    pub counts: ProjectCounts,
    /// When it was made.
    pub created_at: ApiTime,
    /// When a person changed it last.
    pub updated_at: ApiTime,
    /// When it was put away.
    pub archived_at: Option<ApiTime>,
}

/// How much there is in a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectCounts {
    /// Specs.
    pub specs: u64,
    /// Tickets.
    pub tickets: u64,
    /// Tasks.
    pub tasks: u64,
    /// Tasks at work.
    pub active_agents: u64,
}

/// How far a project is. `GET /projects/{project_id}/stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectStats {
    /// Tickets.
    pub total_tickets: u64,
    /// Tickets in each state that any has.
    pub tickets_by_status: BTreeMap<TicketStatus, u64>,
    /// Tasks in each state that any has.
    pub tasks_by_status: BTreeMap<TaskStatus, u64>,
    /// Specs in each state that any has.
    pub specs_by_status: BTreeMap<SpecStatus, u64>,
    /// Tasks at work.
    pub active_agents: u64,
    /// Commits of tasks that landed on a branch of a spec.
    pub total_commits: u64,
}
