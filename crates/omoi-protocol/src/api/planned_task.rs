//! What people change of the tasks of a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

use super::spec::given_value;

/// A task of a plan. `POST /specs/{spec_id}/tasks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "title": "Describe labels in the manual",
    "description": "Add a chapter on labels to the manual: how they are given, listed and taken away.",
    "parent_ticket": "TKT-001", "type": "documentation", "priority": "LOW", "estimated_hours": 1.0,
    "files_to_modify": ["README.md"], "acceptance_criteria": ["The manual has a chapter on labels."],
    "requirements_addressed": ["REQ-TODO-FUNC-001"]
}))]
#[serde(deny_unknown_fields)]
pub struct CreatePlannedTask {
    /// `TSK-NNN`, unique in the plan; the next one where none is given.
    #[serde(default)]
    #[schema(pattern = "^TSK-[0-9]{3}$")]
    pub id: Option<String>,
    /// 1 to 200 characters.
    pub title: String,
    /// What an agent works from.
    pub description: String,
    /// Id of the ticket of the plan that it belongs to, `TKT-NNN`.
    pub parent_ticket: String,
    /// `implementation`, `refactor`, `test`, `documentation`, `configuration`, `research`, `bugfix` or `infrastructure`.
    #[serde(rename = "type")]
    pub task_type: String,
    /// How much it matters.
    #[serde(default = "medium_priority")]
    pub priority: Priority,
    /// More than 0, at most 4.
    pub estimated_hours: f64,
    /// Paths that will be new; with `files_to_modify` at least one.
    #[serde(default)]
    pub files_to_create: Vec<String>,
    /// Paths that there are.
    #[serde(default)]
    pub files_to_modify: Vec<String>,
    /// When it is done.
    #[serde(default)]
    pub acceptance_criteria: Vec<String>,
    /// Ids of the requirements it serves.
    #[serde(default)]
    pub requirements_addressed: Vec<String>,
    /// Commands that prove it; needed for all but research and documentation.
    #[serde(default)]
    pub checks: Vec<PlannedCheckBody>,
    /// Ids of the tasks that must be done first.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

const fn medium_priority() -> Priority {
    Priority::Medium
}

/// A command that the platform runs itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedCheckBody {
    /// What it shows.
    pub kind: CheckKind,
    /// Shell command, run at the repository root; exit code 0 means passed.
    pub command: String,
    /// Files laid over the checkout before it runs: path to full text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Ids of the criteria it proves, such as `REQ-TAGS-FUNC-001#1`; of a `proof` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<String>,
    /// Seconds after which it counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

/// Body of `PATCH /specs/{spec_id}/tasks/{planned_task_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "priority": "HIGH" }))]
#[serde(deny_unknown_fields)]
pub struct UpdatePlannedTask {
    /// 1 to 200 characters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub title: Option<String>,
    /// What an agent works from.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub description: Option<String>,
    /// Id of the ticket of the plan that it belongs to, `TKT-NNN`.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub parent_ticket: Option<String>,
    /// Kind of work.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub task_type: Option<String>,
    /// How much it matters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Priority)]
    pub priority: Option<Priority>,
    /// More than 0, at most 4.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = f64)]
    pub estimated_hours: Option<f64>,
    /// Paths that will be new.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub files_to_create: Option<Vec<String>>,
    /// Paths that there are.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub files_to_modify: Option<Vec<String>>,
    /// When it is done.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub acceptance_criteria: Option<Vec<String>>,
    /// Ids of the requirements it serves.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub requirements_addressed: Option<Vec<String>>,
    /// Commands that prove it: all of them.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<PlannedCheckBody>)]
    pub checks: Option<Vec<PlannedCheckBody>>,
    /// Ids of the tasks that must be done first: all of them.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub depends_on: Option<Vec<String>>,
}
