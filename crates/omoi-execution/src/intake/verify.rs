//! What can be said of an agent's commits without running anything.

use std::collections::BTreeSet;
use std::path::Path;

use omoi_domain::conflict_marker::unresolved_files;
use omoi_domain::lifecycle::attempt::SubmissionFault;
use omoi_git::mirror::{ChangeKind, MergeTree, Mirror, PathChange};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;

use super::{IntakeError, suite_control};
use crate::protected;

/// One task's commits.
pub(super) struct TaskWork<'a> {
    /// Where they are.
    pub(super) mirror: &'a Mirror,
    /// Whose they are.
    pub(super) task: &'a Task,
    /// Their spec.
    pub(super) spec: &'a Spec,
    /// Their last.
    pub(super) head: &'a ObjectId,
    /// For a resolution: the side that comes in.
    pub(super) incoming: Option<&'a ObjectId>,
    /// Where files lie that were copied from a person's checkout.
    pub(super) copied: &'a [String],
}

/// The first rule the commits break, if any.
pub(super) async fn find_fault(
    work: &TaskWork<'_>,
) -> Result<Option<SubmissionFault>, IntakeError> {
    let base = ObjectId::parse(work.task.base_sha.as_deref().unwrap_or(&work.spec.base_sha))?;
    if !work.mirror.is_ancestor(&base, work.head).await? {
        let base = base.to_string();
        return Ok(Some(SubmissionFault::HistoryRewritten { base }));
    }
    let changes = work.mirror.changed_files(&base, work.head).await?;
    let forbidden = |change: &&PathChange| protected::holds(change.path.as_path());
    if let Some(change) = changes.iter().find(forbidden) {
        return Ok(Some(SubmissionFault::ProtectedPath {
            path: change.path.to_string(),
            protected: protected::protected_paths()
                .map(ToOwned::to_owned)
                .collect(),
        }));
    }
    let is_copied = |path: &str| {
        let mut copied = work.copied.iter();
        copied.any(|copy| Path::new(path).starts_with(copy) || Path::new(copy).starts_with(path))
    };
    let mut paths = changes.iter().map(|change| change.path.to_string());
    if let Some(path) = paths.find(|path| is_copied(path)) {
        return Ok(Some(SubmissionFault::CopiedPath { path }));
    }
    if let Some(incoming) = work.incoming
        && !work.mirror.is_ancestor(incoming, work.head).await?
    {
        let incoming = incoming.to_string();
        return Ok(Some(SubmissionFault::SideDropped { incoming }));
    }
    if changes.is_empty() && work.incoming.is_none() {
        let ignored_paths = Vec::new();
        return Ok(Some(SubmissionFault::NoChange { ignored_paths }));
    }
    let resolved = match work.incoming {
        None => None,
        Some(incoming) => Some(Resolved {
            incoming,
            by_git: work.mirror.merge_tree(&base, incoming).await?,
        }),
    };
    match find_markers(work, &base, &changes, resolved.as_ref()).await? {
        Some(markers) => Ok(Some(markers)),
        None => find_weakened(work, &base, &changes, resolved.as_ref()).await,
    }
}

/// Names tests, and files that decide which tests run, that the change weakens.
async fn find_weakened(
    work: &TaskWork<'_>,
    base: &ObjectId,
    changes: &[PathChange],
    resolved: Option<&Resolved<'_>>,
) -> Result<Option<SubmissionFault>, IntakeError> {
    let (mut weakened, measure) = match resolved {
        None => (changed_tests(changes, work.task), base.clone()),
        Some(resolved) => {
            let dropped = dropped_tests(work, base, resolved).await?;
            (dropped, resolved.by_git.tree.clone())
        }
    };
    weakened.extend(suite_control::changed_controls(work, &measure).await?);
    weakened.sort();
    weakened.dedup();
    Ok((!weakened.is_empty()).then_some(SubmissionFault::TestsWeakened(weakened)))
}

/// A merge that the work resolves.
struct Resolved<'a> {
    /// The side that comes in.
    incoming: &'a ObjectId,
    /// What git makes of it alone, conflicts included.
    by_git: MergeTree,
}

/// Names the files in which the change leaves conflict markers behind.
async fn find_markers(
    work: &TaskWork<'_>,
    base: &ObjectId,
    changes: &[PathChange],
    resolved: Option<&Resolved<'_>>,
) -> Result<Option<SubmissionFault>, IntakeError> {
    let paths: Vec<&RepoPath> = changes.iter().map(|change| &change.path).collect();
    let head = match work.mirror.conflict_marker_lines(work.head, &paths).await {
        Err(GitError::OutputTooLarge { limit_bytes, .. }) => {
            let paths = paths.iter().map(ToString::to_string).collect();
            return Ok(Some(SubmissionFault::MarkersTooLong { limit_bytes, paths }));
        }
        lines => lines?,
    };
    if head.is_empty() {
        return Ok(None);
    }
    let mut parents = vec![work.mirror.conflict_marker_lines(base, &paths).await?];
    let mut conflicted = BTreeSet::new();
    if let Some(Resolved { incoming, by_git }) = resolved {
        parents.push(work.mirror.conflict_marker_lines(incoming, &paths).await?);
        conflicted.extend(by_git.conflicts.iter().map(|c| c.path.to_string()));
    }
    let files = unresolved_files(&head, &parents, &conflicted);
    Ok((!files.is_empty()).then(|| SubmissionFault::MarkersLeft(files.into_iter().collect())))
}

/// Tests that stood at the base and changed. The plan may name a test's file; an agent that found
/// work may not: what it proposes is no licence.
fn changed_tests(changes: &[PathChange], task: &Task) -> Vec<String> {
    let planned = |path: &String| is_planned(task, path);
    changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Added)
        .map(|change| change.path.to_string())
        .filter(|path| is_test_path(path) && !planned(path))
        .collect()
}

/// Whether the plan lets the task change `path` although it is a test.
pub(super) fn is_planned(task: &Task, path: &str) -> bool {
    task.parent_task_id.is_none() && task.files.0.iter().any(|file| file == path)
}

/// Tests of either side that a resolution changed or removed. What git merges by itself is the
/// measure; only tests that conflict may be something else, as long as they stay.
async fn dropped_tests(
    work: &TaskWork<'_>,
    base: &ObjectId,
    Resolved {
        incoming,
        by_git: union,
    }: &Resolved<'_>,
) -> Result<Vec<String>, IntakeError> {
    let between = work.mirror.changed_files(base, incoming).await?;
    let on_both_sides = |path: &RepoPath| {
        let removed = |c: &&PathChange| matches!(c.kind, ChangeKind::Added | ChangeKind::Deleted);
        !between.iter().filter(removed).any(|c| c.path == *path)
    };
    let changes = work.mirror.changed_files(&union.tree, work.head).await?;
    Ok(changes
        .iter()
        .filter(|change| is_test_path(&change.path.to_string()))
        .filter(|change| {
            let conflicts = union.conflicts.iter().any(|c| c.path == change.path);
            match change.kind {
                ChangeKind::Added => false,
                ChangeKind::Deleted if conflicts => on_both_sides(&change.path),
                _ => !conflicts,
            }
        })
        .map(|change| change.path.to_string())
        .collect())
}
