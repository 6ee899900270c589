//! Refs of mirrors that hold commits which work began at, and which nothing needs any more.

use std::time::Duration;

use tracing::debug;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::ProjectId;
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_store::specs::{self, SpecBase};
use omoi_store::{Tenant, projects};

use crate::integration::BASE_REFS;
use crate::repository_folders::RepositoryFolders;

/// How long a ref is kept that no spec needs: whoever sent a commit may be about to begin a spec at it.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// Removes the refs of base commits, in the mirrors of one organisation, that no spec needs any more; how many. The newest one of
/// each mirror stays: what is fetched or sent next is told apart from it. Mirrors in which a spec is just being begun are left
/// for the next time.
///
/// # Errors
/// When the database, the disk or git refuses.
pub(crate) async fn remove_base_refs(
    tenant: &Tenant,
    folders: &RepositoryFolders,
    now: Timestamp,
) -> Result<usize, BoxError> {
    let own = tenant.read(async |tx| projects::project_ids(tx).await);
    let own = own.await?;
    let mut n_removed = 0;
    for project in folders.data.mirrored_projects()? {
        if own.contains(&project) {
            let mirror = folders.project_mirror(project).await?;
            n_removed += clear_mirror(tenant, &mirror, project, now).await?;
        }
    }
    Ok(n_removed)
}

async fn clear_mirror(
    tenant: &Tenant,
    mirror: &Mirror,
    project: ProjectId,
    now: Timestamp,
) -> Result<usize, BoxError> {
    // Who begins a spec keeps the refs until its row is there, so the rows read below name every base.
    let Some(removal) = mirror.begin_ref_removal()? else {
        debug!(%project, "A spec is being begun: no ref of a base commit is removed now");
        return Ok(0);
    };
    let mut held = Vec::new();
    for (name, commit) in mirror.list_refs(&RefName::parse(BASE_REFS)?).await? {
        held.push((mirror.ref_written_at(&name)?, name, commit));
    }
    held.sort_by_key(|(written_at, ..)| *written_at);
    held.pop();
    let is_old = |at: Option<Timestamp>| at.is_none_or(|at| now.since(at) >= KEPT_FOR);
    held.retain(|(written_at, ..)| is_old(*written_at));
    if held.is_empty() {
        return Ok(0);
    }
    let bases = tenant.read(async |tx| specs::bases_of_project(tx, project).await);
    let bases = bases.await?;
    let mut n_removed = 0;
    for (_, name, commit) in held {
        if is_needed(mirror, &commit, &bases).await? {
            continue;
        }
        if n_removed == 0 {
            mirror.note_removed_refs(&removal, now)?;
        }
        mirror
            .delete_ref(&name, &commit, CrashPoint::RefMoved)
            .await?;
        debug!(%project, %commit, "Removed the ref of a base commit that no spec needs");
        n_removed += 1;
    }
    Ok(n_removed)
}

/// Whether a spec begins at `commit` that may still go on, or is shown by commits that nothing else holds: one that is delivered
/// has its branch. Where the newest spec begins, the next ticket of a repository that lies elsewhere does.
async fn is_needed(
    mirror: &Mirror,
    commit: &ObjectId,
    bases: &[SpecBase],
) -> Result<bool, GitError> {
    let begins_here = |base: &&SpecBase| base.base_sha == commit.as_str();
    if bases.first().is_some_and(|newest| begins_here(&newest)) {
        return Ok(true);
    }
    for base in bases.iter().filter(begins_here) {
        match base.status {
            SpecStatus::Cancelled => {}
            SpecStatus::Delivered => {
                let Ok(branch) = RefName::from_branch(&base.integration_branch) else {
                    return Ok(true);
                };
                match mirror.read_ref(&branch).await? {
                    Some(head) if mirror.is_ancestor(commit, &head).await? => {}
                    _ => return Ok(true),
                }
            }
            SpecStatus::Draft
            | SpecStatus::Executing
            | SpecStatus::Completed
            | SpecStatus::Working
            | SpecStatus::Blocked
            | SpecStatus::Failed => return Ok(true),
        }
    }
    Ok(false)
}
