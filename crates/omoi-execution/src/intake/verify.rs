//! What can be said of an agent's commits without running anything.

use std::collections::BTreeSet;

use omoi_domain::conflict_marker::unresolved_files;
use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::task::UnmetCode;
use omoi_git::import::ImportRefusal;
use omoi_git::mirror::{ChangeKind, MergeTree, Mirror, PathChange};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;

use super::{IntakeError, suite_control};
use crate::protected;

/// Characters that feedback repeats of a worker's reason or of a list of files.
const REPEATED_CHARS_MAX: usize = 2_000;

/// One task's commits.
pub(super) struct HandedInWork<'a> {
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
}

/// The first rule the commits break, if any, and whether the work may stay on the branch all the
/// same, for the next round to mend.
pub(super) async fn verify_work(
    work: &HandedInWork<'_>,
) -> Result<(Option<UnmetResult>, bool), IntakeError> {
    let base = ObjectId::parse(work.task.base_sha.as_deref().unwrap_or(&work.spec.base_sha))?;
    if !work.mirror.is_ancestor(&base, work.head).await? {
        let rewritten = unmet(
            UnmetCode::HistoryRewritten,
            format!("the branch no longer contains the commit it was cut from ({base})"),
            "Put your changes on top of the branch as it was given to you.",
        );
        return Ok((Some(rewritten), false));
    }
    let changes = work.mirror.changed_files(&base, work.head).await?;
    let forbidden = |change: &&PathChange| protected::holds(change.path.as_path());
    if let Some(change) = changes.iter().find(forbidden) {
        let protected = unmet(
            UnmetCode::ProtectedPath,
            format!("`{}` is not for agents to change", change.path),
            &format!("Leave {} as they are.", protected::PATHS.join(", ")),
        );
        // Nobody below could put it back.
        return Ok((Some(protected), false));
    }
    if let Some(incoming) = work.incoming
        && !work.mirror.is_ancestor(incoming, work.head).await?
    {
        let dropped = unmet(
            UnmetCode::SideDropped,
            format!("the side that comes in ({incoming}) is not part of the result"),
            "Finish the merge that is begun in the workspace; do not abort it.",
        );
        return Ok((Some(dropped), true));
    }
    if changes.is_empty() && work.incoming.is_none() {
        return Ok((Some(no_change(&[])), true));
    }
    let resolved = match work.incoming {
        None => None,
        Some(incoming) => Some(Resolved {
            incoming,
            by_git: work.mirror.merge_tree(&base, incoming).await?,
        }),
    };
    if let Some(marked) = marked(work, &base, &changes, resolved.as_ref()).await? {
        return Ok((Some(marked), true));
    }
    let (mut weakened, measure) = match &resolved {
        None => (changed_tests(&changes, work.task), base.clone()),
        Some(resolved) => {
            let dropped = dropped_tests(work, &base, resolved).await?;
            (dropped, resolved.by_git.tree.clone())
        }
    };
    weakened.extend(suite_control::changed_controls(work, &measure).await?);
    weakened.sort();
    weakened.dedup();
    if weakened.is_empty() {
        return Ok((None, true));
    }
    let weakened = unmet(
        UnmetCode::TestWeakened,
        format!(
            "tests, or files that decide which tests run, were changed, and the plan does not name \
             them: {}",
            weakened.join(", ")
        ),
        "Put them back as they were; add new tests in files of their own.",
    );
    Ok((Some(weakened), true))
}

/// A merge that the work resolves.
struct Resolved<'a> {
    /// The side that comes in.
    incoming: &'a ObjectId,
    /// What git makes of it alone, conflicts included.
    by_git: MergeTree,
}

/// Names the files in which the change leaves conflict markers behind.
async fn marked(
    work: &HandedInWork<'_>,
    base: &ObjectId,
    changes: &[PathChange],
    resolved: Option<&Resolved<'_>>,
) -> Result<Option<UnmetResult>, IntakeError> {
    let paths: Vec<&RepoPath> = changes.iter().map(|change| &change.path).collect();
    let head = match work.mirror.conflict_marker_lines(work.head, &paths).await {
        Err(GitError::OutputTooLarge { limit_bytes, .. }) => {
            let all: Vec<String> = paths.iter().map(ToString::to_string).collect();
            let all: String = all.join(", ").chars().take(REPEATED_CHARS_MAX).collect();
            return Ok(Some(unmet(
                UnmetCode::ConflictMarkers,
                format!(
                    "lines that start with a conflict marker are more than {limit_bytes} bytes long \
                     together; they are in {all}"
                ),
                "Take those lines out, or leave the file out of the work.",
            )));
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
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    Ok((!files.is_empty()).then(|| {
        unmet(
            UnmetCode::ConflictMarkers,
            format!("conflict markers are left in {}", files.join(", ")),
            "Resolve every conflict; keep what both sides meant.",
        )
    }))
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
    work: &HandedInWork<'_>,
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

fn unmet(code: UnmetCode, feedback: String, recommendation: &str) -> UnmetResult {
    UnmetResult {
        code,
        feedback,
        recommendations: vec![recommendation.to_owned()],
    }
}

/// The agent reported success without a commit. New files that git ignores are named: an agent that
/// wrote nothing else cannot see why its work did not count.
pub(super) fn no_change(ignored_paths: &[String]) -> UnmetResult {
    if ignored_paths.is_empty() {
        return unmet(
            UnmetCode::NoChange,
            "the agent reported success but made no commits".to_owned(),
            "Make the change the task asks for, then finish.",
        );
    }
    unmet(
        UnmetCode::NoChange,
        format!(
            "the agent reported success but made no commits; the repository's ignore rules hide the \
             files it wrote: {}",
            ignored_paths.join(", ")
        ),
        "Write files where `.gitignore` does not hide them, or change `.gitignore`.",
    )
}

/// The worker could not save what is in the workspace.
pub(super) fn unsaved(why: &str) -> UnmetResult {
    let why: String = why.chars().take(REPEATED_CHARS_MAX).collect();
    unmet(
        UnmetCode::WorkUnsaved,
        format!("the workspace could not be saved: {why}"),
        "Remove or repair what the message names; leave `.git` alone.",
    )
}

/// The agent tried to write where it must not.
pub(super) fn outside_workspace(paths: &[String]) -> UnmetResult {
    unmet(
        UnmetCode::OutsideWorkspace,
        format!(
            "the agent tried to write outside its workspace: {}",
            paths.join(", ")
        ),
        "Write only below the workspace.",
    )
}

/// The bundle broke a rule.
pub(super) fn refused(refusal: &ImportRefusal) -> UnmetResult {
    unmet(
        UnmetCode::BundleRefused,
        refusal.to_string(),
        "Remove what the message names from the branch.",
    )
}
