//! Output of the requirements phase: EARS sentences with acceptance criteria.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use omoi_domain::requirement::RequirementType;
use omoi_domain::task::Priority;

/// The requirements of the feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementsOutput {
    /// Name of the feature.
    pub feature_name: String,
    /// 5 to 50 requirements, not all of one priority.
    pub requirements: Vec<PlannedRequirement>,
    /// What is taken for granted.
    pub assumptions: Vec<String>,
    /// What the feature will not do.
    pub out_of_scope: Vec<String>,
    /// What nobody knows yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_questions: Vec<String>,
    /// Links back to the product requirements and on to the design.
    pub traceability: RequirementTraceability,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedRequirement {
    /// `REQ-<FEATURE>-<FUNC|PERF|SEC|USE|REL|CON>-NNN`, unique.
    pub id: String,
    /// A capability in 3 to 6 words; not a bare category name, not an id.
    pub title: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: RequirementType,
    /// Free grouping label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How much it matters.
    pub priority: Priority,
    /// One EARS sentence with exactly one normative word.
    pub text: String,
    /// At least two testable criteria; criterion n has the id `<REQ id>#n`.
    pub acceptance_criteria: Vec<String>,
    /// Requirements this one needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Stories this serves, `US-NNN`.
    pub user_stories: Vec<String>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Links to the documents before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementTraceability {
    /// Sections of the product requirements that were used.
    pub prd_sections: Vec<String>,
    /// Components of the design, where already known.
    pub design_components: Vec<String>,
}
