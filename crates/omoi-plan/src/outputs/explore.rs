//! Output of the explore phase: what the repository is and what the feature means.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Facts about the codebase, open questions and the summary of the feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExploreOutput {
    /// Two or three sentences on the architecture; more than 50 characters.
    pub codebase_summary: String,
    /// Kind of project and its frameworks; more than 5 characters.
    pub project_type: String,
    /// Languages, frameworks and stores; at least two.
    pub tech_stack: Vec<String>,
    /// Where things lie: role to path or paths; at least two roles.
    pub structure: BTreeMap<String, RolePaths>,
    /// At least three files that matter; every path must exist.
    pub key_files: Vec<KeyFile>,
    /// Patterns in the code that the feature should follow; may be empty.
    pub relevant_patterns: Vec<CodePattern>,
    /// Data models that exist already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub existing_models: Vec<ExistingModel>,
    /// Naming, testing and other conventions of the code.
    pub conventions: CodeConventions,
    /// Files where execution starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry_points: Vec<String>,
    /// How tests are laid out and run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_structure: Option<String>,
    /// Open questions by category; 5 to 15 questions in all.
    pub discovery_questions: Vec<QuestionGroup>,
    /// The feature in short, with what is in and out of scope.
    pub feature_summary: FeatureSummary,
    /// Existing code the feature touches; may be empty.
    pub related_to_feature: Vec<RelatedCode>,
    /// True for a new project without code to cite; relaxes the path checks.
    pub greenfield: bool,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// One path or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RolePaths {
    /// A single path.
    One(String),
    /// Several paths.
    Many(Vec<String>),
}

impl RolePaths {
    /// The paths, whichever form they came in.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

/// A file that matters for the feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Path relative to the repository root.
    pub path: String,
    /// Why the file matters.
    pub purpose: String,
}

/// A pattern found in the code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodePattern {
    /// Name of the pattern.
    pub pattern: String,
    /// What it looks like here.
    pub description: String,
    /// Files that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// A data model that exists in the code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistingModel {
    /// Name of the model.
    pub name: String,
    /// File that defines it.
    pub file: String,
    /// Names of its fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// Conventions of the code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeConventions {
    /// How things are named.
    pub naming: String,
    /// How things are tested.
    pub testing: String,
    /// Other habits of the code.
    pub patterns: Vec<String>,
}

omoi_domain::closed_set! {
    /// What a discovery question is about.
    #[derive(JsonSchema)]
    QuestionCategory {
        /// Why the feature is wanted.
        ProblemValue = "Problem & Value",
        /// Who uses it and how.
        UsersJourneys = "Users & Journeys",
        /// What belongs to it.
        ScopeBoundaries = "Scope & Boundaries",
        /// How it fits the code.
        TechnicalContext = "Technical Context",
        /// What may go wrong.
        TradeoffsRisks = "Trade-offs & Risks",
    }
}

/// Open questions of one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionGroup {
    /// What the questions are about.
    pub category: QuestionCategory,
    /// The questions; at least one.
    pub questions: Vec<String>,
}

/// The feature in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureSummary {
    /// Name in kebab case.
    pub name: String,
    /// One sentence.
    pub one_liner: String,
    /// What is wrong or missing today.
    pub problem_statement: String,
    /// What belongs to the feature.
    pub scope_in: Vec<String>,
    /// What does not.
    pub scope_out: Vec<String>,
    /// Limits the code sets.
    pub technical_constraints: Vec<String>,
    /// What may go wrong.
    pub risks_identified: Vec<String>,
    /// How success shows.
    pub success_metrics: Vec<String>,
}

/// Existing code the feature touches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelatedCode {
    /// Name of the thing.
    pub name: String,
    /// File it lives in.
    pub file: String,
    /// Why it is related.
    pub relevance: String,
}
