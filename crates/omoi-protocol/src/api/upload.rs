//! Repositories that lie elsewhere: what is sent of them, and work on it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::agent_program::AgentProgram;

use super::example::EXAMPLE_COMMIT;

/// Commits that one request asks about, at most.
pub const MISSING_COMMITS_MAX: usize = 1_000;

/// `POST /projects/{project_id}/repository/missing`: which of these commits need not be sent?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "commits": [EXAMPLE_COMMIT] }))]
#[serde(deny_unknown_fields)]
pub struct FindMissingCommits {
    /// Full names of commits, newest first.
    #[schema(max_items = 1000)]
    pub commits: Vec<String>,
}

/// What the mirror of a project has of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownCommitsView {
    /// Those of the commits asked about that it has, in the order asked. A bundle may build on them.
    pub have: Vec<String>,
    /// Whether nothing was ever sent to it.
    pub is_empty: bool,
}

/// What was taken in. `POST /projects/{project_id}/repository/bundle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadedCommitView {
    /// The commit, on which specs may begin now.
    pub commit: String,
    /// Bytes of the bundle.
    pub bundle_bytes: u64,
}

/// `POST /projects/{project_id}/specs`: write a spec down about a commit that was sent, and start it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "idea": "Add tags to todos", "commit": EXAMPLE_COMMIT, "branch": "main" }))]
#[serde(deny_unknown_fields)]
pub struct LaunchProjectSpec {
    /// The person's words, verbatim.
    pub idea: String,
    /// Full name of the commit to begin at.
    pub commit: String,
    /// The branch that was checked out there; none where HEAD was detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether the work tree had changes that the commit has not.
    #[serde(default)]
    pub has_uncommitted: bool,
    /// Release the tasks as soon as they are planned.
    #[serde(default)]
    pub auto_start: bool,
    /// Carry the markdown of `.omoi_os/` in the hand-over.
    #[serde(default)]
    pub spec_files: bool,
    /// The command that runs the project's suite, or `none`; without it the repository is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Begin although the suite fails on the base commit, and count new failures only.
    #[serde(default)]
    pub accept_red: bool,
    /// What takes the turns of its attempts; by the rules of the configuration when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentProgram>,
    /// Whether planning waits for a person after the requirements and after the design.
    #[serde(default)]
    pub require_approval_gates: bool,
}
