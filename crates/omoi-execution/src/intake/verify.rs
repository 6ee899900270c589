//! What can be said of an agent's commits without running anything.

use omoi_domain::task::kind;
use omoi_git::import::Refusal;
use omoi_git::mirror::{ChangeKind, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;

use super::IntakeError;
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
}

/// The first rule the commits break, if any.
pub(super) async fn verify(work: Work<'_>) -> Result<Option<Unmet>, IntakeError> {
    let base = ObjectId::parse(work.task.base_sha.as_deref().unwrap_or(&work.spec.base_sha))?;
    if !work.mirror.is_ancestor(&base, work.head).await? {
        return Ok(Some(unmet(
            "history_rewritten",
            format!("the branch no longer contains the commit it was cut from ({base})"),
            "Put your changes on top of the branch as it was given to you.",
        )));
    }
    let changes = work.mirror.changed_files(&base, work.head).await?;
    if changes.is_empty() && work.task.task_type != kind::RESOLVE_CONFLICT {
        return Ok(Some(no_change()));
    }
    let mut weakened = Vec::new();
    let mut marked = Vec::new();
    for change in &changes {
        let path = change.path.to_string();
        if path.starts_with(".omoi_os/") {
            return Ok(Some(unmet(
                "protected_path",
                format!("`{path}` belongs to the platform"),
                "Leave everything below .omoi_os/ as it is.",
            )));
        }
        if touches_test(change.kind, &path, work.task) {
            weakened.push(path.clone());
        }
        if change.kind != ChangeKind::Deleted && has_markers(&work, &change.path).await? {
            marked.push(path);
        }
    }
    if !marked.is_empty() {
        return Ok(Some(unmet(
            "conflict_markers",
            format!("conflict markers are left in {}", marked.join(", ")),
            "Resolve every conflict; keep what both sides meant.",
        )));
    }
    if !weakened.is_empty() {
        return Ok(Some(unmet(
            "test_weakened",
            format!(
                "tests that stood before were changed or removed, and the plan does not name them: {}",
                weakened.join(", ")
            ),
            "Put the tests back as they were; add new tests in files of their own.",
        )));
    }
    Ok(None)
}

/// A test that stood at the base may change only when the plan names its file. Resolutions meet
/// the tests of both sides, so they are judged by running them.
fn touches_test(change: ChangeKind, path: &str, task: &Task) -> bool {
    let stood = !matches!(change, ChangeKind::Added);
    let planned = task.files.0.iter().any(|file| file == path);
    stood && is_test_path(path) && !planned && task.task_type != kind::RESOLVE_CONFLICT
}

async fn has_markers(
    work: &Work<'_>,
    path: &omoi_git::object::RepoPath,
) -> Result<bool, IntakeError> {
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
