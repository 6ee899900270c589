//! Commits in the mirrors of repositories.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{AttemptId, ProjectId, TaskId, TicketId};

use super::time::ApiTime;

/// A commit. `GET /commits/{commit_sha}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitView {
    /// Its whole name.
    pub sha: String,
    /// The project whose mirror has it.
    pub project_id: ProjectId,
    /// Its parents, in order.
    pub parents: Vec<String>,
    /// Who made the change.
    pub author_name: String,
    /// Their address, as the commit has it.
    pub author_email: String,
    /// When the change was made.
    pub authored_at: ApiTime,
    /// First line of the message.
    pub subject: String,
    /// The message between that and its trailers.
    pub body: String,
    /// The agent that made it, where it says so.
    pub agent_id: Option<AttemptId>,
    /// The task it is the work of, where the agent was at one.
    pub task_id: Option<TaskId>,
    /// The ticket of that task.
    pub ticket_id: Option<TicketId>,
}

/// What a commit changes. `GET /commits/{commit_sha}/diff`, `GET /tasks/{task_id}/diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitDiffView {
    /// The commit that it is compared with; none of a commit without parents.
    pub before: Option<String>,
    /// The commit.
    pub after: String,
    /// Lines that came.
    pub insertions: u64,
    /// Lines that went.
    pub deletions: u64,
    /// The files that differ, by path.
    pub files: Vec<FileDiffView>,
}

/// What differs in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDiffView {
    /// Path from the root of the repository.
    pub path: String,
    /// Lines that came; none of a file that is not text.
    pub insertions: Option<u64>,
    /// Lines that went; none of a file that is not text.
    pub deletions: Option<u64>,
    /// The patch.
    pub patch: String,
    /// Whether the end of it is missing, because it is longer than 1 MiB or 10,000 lines.
    pub truncated: bool,
}

/// Body of `POST /commits/ticket/{ticket_id}/link`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "commit_sha": "1111111111111111111111111111111111111111" }))]
#[serde(deny_unknown_fields)]
pub struct LinkCommit {
    /// The whole name of the commit, which is in the mirror of the ticket's project.
    pub commit_sha: String,
}
