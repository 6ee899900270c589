//! What people change of a plan, and the versions that keep it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::actor::Actor;
use omoi_domain::phase::Phase;
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::Priority;

use super::spec::given_value;
use super::time::ApiTime;

/// A requirement of a plan. `POST /specs/{spec_id}/requirements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "REQ-TODO-FUNC-009", "title": "Sort todos by label", "type": "functional", "priority": "MEDIUM",
    "text": "WHEN a user sorts todos, THE SYSTEM SHALL order them by label.",
    "acceptance_criteria": ["`todo list --sort label` prints todos in the order of their labels."],
    "user_stories": ["US-001"]
}))]
#[serde(deny_unknown_fields)]
pub struct CreateRequirement {
    /// `REQ-<FEATURE>-<FUNC|PERF|SEC|USE|REL|CON>-NNN`, unique in the spec.
    pub id: String,
    /// A capability in 3 to 6 words.
    pub title: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub requirement_type: RequirementType,
    /// Free grouping label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How much it matters.
    pub priority: Priority,
    /// One EARS sentence with exactly one normative word.
    pub text: String,
    /// Testable criteria; criterion n has the id `<REQ id>#n`.
    pub acceptance_criteria: Vec<String>,
    /// Requirements this one needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Stories this serves, `US-NNN`.
    #[serde(default)]
    pub user_stories: Vec<String>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Body of `PATCH /specs/{spec_id}/requirements/{req_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "priority": "HIGH" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateRequirement {
    /// A capability in 3 to 6 words.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub title: Option<String>,
    /// What it is about.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = RequirementType)]
    pub requirement_type: Option<RequirementType>,
    /// Free grouping label; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub category: Option<Option<String>>,
    /// How much it matters.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Priority)]
    pub priority: Option<Priority>,
    /// One EARS sentence with exactly one normative word.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub text: Option<String>,
    /// Requirements this one needs.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub dependencies: Option<Vec<String>>,
    /// Stories this serves, `US-NNN`.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub user_stories: Option<Vec<String>>,
    /// Remarks; `null` takes them away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub notes: Option<Option<String>>,
}

/// A criterion of a requirement, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "text": "`todo list` prints a label beside each todo." }))]
#[serde(deny_unknown_fields)]
pub struct CriterionText {
    /// What can be tested.
    pub text: String,
}

/// Body of `PUT /specs/{spec_id}/design`: sections of the design as they are to be, others stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "sections": { "security_considerations": ["Labels are shown as text only."] } }))]
#[serde(deny_unknown_fields)]
pub struct UpdateDesign {
    /// Values by section, as `GET /specs/{spec_id}/phase-data` shows them: of a list all its items.
    pub sections: BTreeMap<String, Value>,
}

/// A version of what a spec was planned from. `GET /specs/{spec_id}/versions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecVersionView {
    /// Counted per spec, from 1, which is how it stood before the first change.
    pub number: i64,
    /// Title of the spec.
    pub title: String,
    /// What was changed.
    pub summary: String,
    /// Who changed it.
    #[schema(value_type = Object)]
    pub actor: Actor,
    /// When.
    pub created_at: ApiTime,
}

/// `GET /specs/{spec_id}/versions/{number}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecVersionDetail {
    /// The version.
    pub version: SpecVersionView,
    /// Where the spec was to be planned on from.
    pub current_phase: Phase,
    /// The accepted outputs by phase, of `explore` to `tasks`.
    pub outputs: BTreeMap<String, Value>,
}

/// `GET /specs/{spec_id}/versions/{number}/diff/{other}`: what differs between two versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecVersionDiff {
    /// The title, where it is another one.
    pub title: Option<SpecTitleChange>,
    /// Items that differ.
    pub items: Vec<PlanItemChange>,
}

/// A title that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecTitleChange {
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// An item of a plan that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanItemChange {
    /// The phase whose output has it.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// Its key within a list; empty otherwise.
    pub key: String,
    /// What it was; none where it came.
    pub before: Option<Value>,
    /// What it is; none where it went.
    pub after: Option<Value>,
}
