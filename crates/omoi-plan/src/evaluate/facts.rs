//! What is known beside the output that is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::outputs::{DesignOutput, ExploreOutput, PrdOutput, RequirementsOutput, TasksOutput};
use crate::repository::RepositoryFacts;

/// What code knows beside the output itself.
#[derive(Clone, Debug, Default)]
pub struct EvaluationFacts {
    /// The repository at the spec's base commit.
    pub repo: Arc<RepositoryFacts>,
    /// What the person asked for, word for word.
    pub request: String,
    /// What the prompt of the phase says it must do.
    pub instructions: &'static str,
    /// Accepted output of the phase.
    pub explore: Option<ExploreOutput>,
    /// Accepted output of the phase.
    pub prd: Option<PrdOutput>,
    /// Accepted output of the phase.
    pub requirements: Option<RequirementsOutput>,
    /// Accepted output of the phase.
    pub design: Option<DesignOutput>,
    /// Accepted output of the phase.
    pub tasks: Option<TasksOutput>,
    /// How each check that was tried on the spec's base commit ended, by task id and index of the
    /// check: its exit code, none when its time limit or a signal ended it.
    pub base_exits: BTreeMap<(String, usize), Option<i32>>,
}
