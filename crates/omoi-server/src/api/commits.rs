//! Commits, as the mirrors of repositories have them.

mod get_commit;
mod get_commit_diff;
mod link_commit;
mod list_agent_commits;
mod list_ticket_commits;

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{AttemptId, ProjectId};
use omoi_git::mirror::{FileDiff, LogEntry, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::trailers::ATTEMPT;
use omoi_protocol::api::{CommitDiffView, CommitView, FileDiffView};
use omoi_store::{StoreError, Tx, attempts, projects, tasks};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

/// Commits of one list at most.
const COMMITS_MAX: usize = 200;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_commit::get_commit, NotFound))
        .add(operation!(get_commit_diff::get_commit_diff, NotFound))
        .add(operation!(
            list_ticket_commits::list_ticket_commits,
            NotFound,
            UnclearReference
        ))
        .add(operation!(list_agent_commits::list_agent_commits, NotFound))
        .add(operation!(
            link_commit::link_commit,
            NotFound,
            UnclearReference,
            Conflict
        ))
}

/// Which commit.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CommitPath {
    /// Whole name of the commit.
    #[param(example = json!("1111111111111111111111111111111111111111"), pattern = "^[0-9a-f]{40}([0-9a-f]{24})?$")]
    pub(super) commit_sha: String,
}

/// Whose mirror.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MirrorOfProject {
    /// The project whose mirror has the commit; it is looked for in those of all projects without it.
    pub(super) project_id: Option<ProjectId>,
}

/// A commit with where it is.
pub(super) struct FoundCommit {
    pub(super) project: ProjectId,
    pub(super) mirror: Mirror,
    pub(super) entry: LogEntry,
}

/// The name of a commit.
fn commit_name(text: &str) -> Result<ObjectId, ApiError> {
    ObjectId::parse(text).map_err(|_| {
        let says = format!("`{text}` is not the whole name of a commit");
        ApiError::invalid_value(says).with_field("commit_sha")
    })
}

fn missing_commit(id: &ObjectId) -> ApiError {
    ApiError::from(StoreError::NotFound {
        what: "commit",
        key: id.to_string(),
    })
}

impl ApiSurface {
    /// The mirror of a project; none before its repository was fetched.
    pub(super) async fn mirror_of(&self, project: ProjectId) -> Result<Option<Mirror>, ApiError> {
        let folders = &self.parts.gate.folders;
        if !folders.data.mirror_path(project).is_dir() {
            return Ok(None);
        }
        Ok(Some(folders.project_mirror(project).await?))
    }

    /// The commit that a path names, in the mirror of one project or of any that `caller` reaches.
    pub(super) async fn find_commit(
        &self,
        caller: &ApiCaller,
        named: &str,
        project: Option<ProjectId>,
    ) -> Result<FoundCommit, ApiError> {
        let id = commit_name(named)?;
        let asked: Vec<ProjectId> = project.into_iter().collect();
        let mut wanted: BTreeSet<ProjectId> = caller.listed_projects(&asked).into_iter().collect();
        let rows = caller.own_rows();
        let own = rows.read(async |tx| projects::project_ids(tx).await);
        let own = own.await?;
        match wanted.is_empty() {
            true => wanted = own,
            false => wanted.retain(|project| own.contains(project)),
        }
        for project in wanted {
            let Some(mirror) = self.mirror_of(project).await? else {
                continue;
            };
            if mirror.has_commit(&id).await?
                && let Some(entry) = mirror.list_commits(&id, None, 1).await?.pop()
            {
                return Ok(FoundCommit {
                    project,
                    mirror,
                    entry,
                });
            }
        }
        Err(missing_commit(&id))
    }
}

/// The newest `n_max` commits of `tip` that `base` does not have, where the mirror has them.
async fn commits_between(
    mirror: &Mirror,
    base: Option<&str>,
    tip: &str,
    n_max: usize,
) -> Result<Vec<LogEntry>, ApiError> {
    let (Ok(tip), base) = (ObjectId::parse(tip), base.map(ObjectId::parse)) else {
        return Ok(Vec::new());
    };
    let base = base.and_then(Result::ok);
    if !mirror.has_commit(&tip).await? {
        return Ok(Vec::new());
    }
    let base = match base {
        Some(base) if mirror.has_commit(&base).await? => Some(base),
        _ => None,
    };
    Ok(mirror.list_commits(&tip, base.as_ref(), n_max).await?)
}

/// Commits of `project` as people see them.
async fn commit_views(
    tx: &mut Tx,
    project: ProjectId,
    entries: Vec<LogEntry>,
) -> Result<Vec<CommitView>, StoreError> {
    let mut views = Vec::with_capacity(entries.len());
    for entry in entries {
        views.push(commit_view(tx, project, entry).await?);
    }
    Ok(views)
}

/// A commit with whose work it says it is, where that is so in the rows of its project.
async fn commit_view(
    tx: &mut Tx,
    project: ProjectId,
    entry: LogEntry,
) -> Result<CommitView, StoreError> {
    let mut trailers = entry.trailers.iter();
    let named = trailers.find(|trailer| trailer.key == ATTEMPT);
    let named = named.and_then(|trailer| trailer.value.parse::<AttemptId>().ok());
    let attempt = match named {
        Some(id) => match attempts::get(tx, id).await {
            Ok(attempt) => Some(attempt).filter(|attempt| attempt.project_id == project),
            Err(StoreError::NotFound { .. }) => None,
            Err(other) => return Err(other),
        },
        None => None,
    };
    let task = match attempt
        .as_ref()
        .and_then(|attempt| attempt.subject.task_id())
    {
        Some(id) => Some(tasks::get(tx, id).await?),
        None => None,
    };
    let parents = entry.parents.iter().map(ToString::to_string);
    Ok(CommitView {
        sha: entry.id.to_string(),
        project_id: project,
        parents: parents.collect(),
        author_name: entry.author.name().to_owned(),
        author_email: entry.author.email().to_owned(),
        authored_at: entry.time.into(),
        subject: entry.subject,
        body: entry.body,
        agent_id: attempt.map(|attempt| attempt.id),
        task_id: task.as_ref().map(|task| task.id),
        ticket_id: task.map(|task| task.ticket_id),
    })
}

/// What differs between two commits; of one without a parent all that it has.
pub(super) async fn diff_view(
    mirror: &Mirror,
    before: Option<&ObjectId>,
    after: &ObjectId,
) -> Result<CommitDiffView, ApiError> {
    let nothing = ObjectId::empty_tree();
    let files = mirror.diff_trees(before.unwrap_or(&nothing), after).await?;
    let sum = |count: fn(&FileDiff) -> Option<u64>| files.iter().filter_map(count).sum();
    Ok(CommitDiffView {
        before: before.map(ToString::to_string),
        after: after.to_string(),
        insertions: sum(|file| file.n_added),
        deletions: sum(|file| file.n_removed),
        files: files.into_iter().map(file_view).collect(),
    })
}

fn file_view(file: FileDiff) -> FileDiffView {
    FileDiffView {
        path: file.path,
        insertions: file.n_added,
        deletions: file.n_removed,
        patch: file.patch,
        truncated: file.is_truncated,
    }
}
