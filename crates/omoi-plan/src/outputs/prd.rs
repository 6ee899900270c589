//! Output of the prd phase: the product requirements.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Product requirements: why, for whom, what is in and what is out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdOutput {
    /// Problem and solution.
    pub overview: PrdOverview,
    /// Goals and how success is measured.
    pub goals: PrdGoals,
    /// Who it is for.
    pub users: PrdUsers,
    /// 5 to 15 stories: happy path, errors, edges, administration.
    pub user_stories: Vec<UserStory>,
    /// What is in, what is out, what it depends on.
    pub scope: PrdScope,
    /// What is taken for granted.
    pub assumptions: Vec<String>,
    /// Limits, technical and of the business.
    pub constraints: PrdConstraints,
    /// What may go wrong and what is done about it.
    pub risks: Vec<PrdRisk>,
    /// Every question explore asked, each exactly once, answered, assumed or still open.
    pub open_questions: Vec<OpenQuestion>,
    /// Version of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prd_version: Option<String>,
    /// Other features this one touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_features: Vec<RelatedFeature>,
    /// Changes of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revision_history: Vec<PrdRevision>,
}

/// Problem and solution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdOverview {
    /// Name of the feature.
    pub feature_name: String,
    /// One sentence.
    pub one_liner: String,
    /// What is wrong or missing today; more than 30 characters.
    pub problem_statement: String,
    /// What will be built; more than 30 characters.
    pub solution_summary: String,
}

/// Goals and how success is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdGoals {
    /// At least one goal that must be met.
    pub primary: Vec<String>,
    /// Goals that would be welcome.
    pub secondary: Vec<String>,
    /// At least one metric with a figure.
    pub success_metrics: Vec<SuccessMetric>,
}

/// How success is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuccessMetric {
    /// What is measured.
    pub metric: String,
    /// The value to reach; must hold a figure.
    pub target: String,
    /// How it is measured.
    pub measurement: String,
}

/// Who the feature is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdUsers {
    /// At least one.
    pub primary: Vec<UserPersona>,
    /// Others who are touched by it.
    pub secondary: Vec<UserPersona>,
}

/// A kind of user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPersona {
    /// The role.
    pub role: String,
    /// Who that is.
    pub description: String,
    /// What this user needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

omoi_domain::closed_set! {
    /// How much a story matters.
    #[derive(JsonSchema)]
    StoryPriority {
        /// Must be served by a requirement.
        Must = "must",
        /// Should be served.
        Should = "should",
        /// Could be served.
        Could = "could",
    }
}

/// A user story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserStory {
    /// `US-001` to `US-999`, unique.
    pub id: String,
    /// As a …
    pub role: String,
    /// … I want …
    pub want: String,
    /// … so that.
    pub benefit: String,
    /// How much it matters.
    pub priority: StoryPriority,
    /// At least one.
    pub acceptance_criteria: Vec<String>,
}

/// What is in, what is out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdScope {
    /// At least one.
    pub in_scope: Vec<String>,
    /// At least one.
    pub out_of_scope: Vec<String>,
    /// What must exist for it to work.
    pub dependencies: Vec<String>,
}

/// Limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdConstraints {
    /// Set by code and machines.
    pub technical: Vec<String>,
    /// Set by people and money.
    pub business: Vec<String>,
}

/// What may go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdRisk {
    /// What may happen.
    pub description: String,
    /// How bad it would be.
    pub impact: String,
    /// How likely it is.
    pub likelihood: String,
    /// What is done about it.
    pub mitigation: String,
}

omoi_domain::closed_set! {
    /// What became of a question.
    #[derive(JsonSchema)]
    QuestionResolution {
        /// A person or the code answered it.
        Answered = "answered",
        /// The answer is an assumption.
        Assumed = "assumed",
        /// Nobody knows yet.
        Open = "open",
    }
}

/// A question of explore and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenQuestion {
    /// The question, word for word.
    pub question: String,
    /// What became of it.
    pub resolution: QuestionResolution,
    /// The answer or assumption; left out while open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// Another feature this one touches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelatedFeature {
    /// Name of the other feature.
    pub name: String,
    /// How they relate.
    pub relationship: String,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// One change of the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrdRevision {
    /// Version after the change.
    pub version: String,
    /// Date, `YYYY-MM-DD`.
    pub date: String,
    /// Who changed it.
    pub author: String,
    /// What changed.
    pub changes: String,
}
