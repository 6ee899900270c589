//! What can be said of an agent's commits without running anything.

use omoi_git::import::Refusal;
use omoi_git::mirror::{Change, ChangeKind, Mirror};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;

use super::IntakeError;
use crate::protected;
use crate::tasks::Unmet;

/// The longest file looked through for conflict markers.
const MARKER_BYTES_MAX: usize = 4 << 20;

/// One task's commits.
pub(super) struct Work<'a> {
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
pub(super) async fn verify(work: &Work<'_>) -> Result<(Option<Unmet>, bool), IntakeError> {
    let base = ObjectId::parse(work.task.base_sha.as_deref().unwrap_or(&work.spec.base_sha))?;
    if !work.mirror.is_ancestor(&base, work.head).await? {
        let rewritten = unmet(
            "history_rewritten",
            format!("the branch no longer contains the commit it was cut from ({base})"),
            "Put your changes on top of the branch as it was given to you.",
        );
        return Ok((Some(rewritten), false));
    }
    let changes = work.mirror.changed_files(&base, work.head).await?;
    let forbidden = |change: &&Change| protected::holds(change.path.as_path());
    if let Some(change) = changes.iter().find(forbidden) {
        let protected = unmet(
            "protected_path",
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
            "side_dropped",
            format!("the side that comes in ({incoming}) is not part of the result"),
            "Finish the merge that is begun in the workspace; do not abort it.",
        );
        return Ok((Some(dropped), true));
    }
    if changes.is_empty() && work.incoming.is_none() {
        return Ok((Some(no_change()), true));
    }
    if let Some(marked) = marked(work, &changes).await? {
        return Ok((Some(marked), true));
    }
    let weakened = match work.incoming {
        None => changed_tests(&changes, work.task),
        Some(incoming) => dropped_tests(work, &base, incoming).await?,
    };
    if weakened.is_empty() {
        return Ok((None, true));
    }
    let weakened = unmet(
        "test_weakened",
        format!(
            "tests that stood before were changed or removed, and the plan does not name them: {}",
            weakened.join(", ")
        ),
        "Put the tests back as they were; add new tests in files of their own.",
    );
    Ok((Some(weakened), true))
}

async fn marked(work: &Work<'_>, changes: &[Change]) -> Result<Option<Unmet>, IntakeError> {
    let mut marked = Vec::new();
    for change in changes {
        if change.kind != ChangeKind::Deleted && has_markers(work, &change.path).await? {
            marked.push(change.path.to_string());
        }
    }
    Ok((!marked.is_empty()).then(|| {
        unmet(
            "conflict_markers",
            format!("conflict markers are left in {}", marked.join(", ")),
            "Resolve every conflict; keep what both sides meant.",
        )
    }))
}

/// Tests that stood at the base and changed. The plan may name a test's file; an agent that found
/// work may not: what it proposes is no licence.
fn changed_tests(changes: &[Change], task: &Task) -> Vec<String> {
    let planned = |path: &String| task.parent_task_id.is_none() && task.files.0.contains(path);
    changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Added)
        .map(|change| change.path.to_string())
        .filter(|path| is_test_path(path) && !planned(path))
        .collect()
}

/// Tests of either side that a resolution changed or removed. What git merges by itself is the
/// measure; only tests that conflict may be something else, as long as they stay.
async fn dropped_tests(
    work: &Work<'_>,
    base: &ObjectId,
    incoming: &ObjectId,
) -> Result<Vec<String>, IntakeError> {
    let union = work.mirror.merge_tree(base, incoming).await?;
    let between = work.mirror.changed_files(base, incoming).await?;
    let on_both_sides = |path: &RepoPath| {
        let removed = |c: &&Change| matches!(c.kind, ChangeKind::Added | ChangeKind::Deleted);
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

async fn has_markers(work: &Work<'_>, path: &RepoPath) -> Result<bool, IntakeError> {
    let bytes = match work
        .mirror
        .read_blob(work.head, path, MARKER_BYTES_MAX)
        .await
    {
        Ok(Some(bytes)) => bytes,
        // Nobody resolves a conflict by hand in a file that long.
        Ok(None) | Err(GitError::OutputTooLarge { .. }) => return Ok(false),
        Err(other) => return Err(other.into()),
    };
    let starts = |mark: &[u8]| {
        bytes
            .split(|b| *b == b'\n')
            .any(|line| line.starts_with(mark))
    };
    Ok(starts(b"<<<<<<< ") && starts(b">>>>>>> "))
}

fn unmet(code: &'static str, feedback: String, recommendation: &str) -> Unmet {
    Unmet {
        code,
        feedback,
        recommendations: vec![recommendation.to_owned()],
    }
}

/// The branch is where it was.
pub(super) fn no_change() -> Unmet {
    unmet(
        "no_change",
        "the agent says done, but its branch is where it was".to_owned(),
        "Make the change the task asks for, then finish.",
    )
}

/// The agent tried to write where it must not.
pub(super) fn outside_workspace(paths: &[String]) -> Unmet {
    unmet(
        "outside_workspace",
        format!(
            "the agent tried to write outside its workspace: {}",
            paths.join(", ")
        ),
        "Write only below the workspace.",
    )
}

/// The bundle broke a rule.
pub(super) fn refused(refusal: &Refusal) -> Unmet {
    unmet(
        "bundle_refused",
        refusal.to_string(),
        "Remove what the message names from the branch.",
    )
}
