//! Changes of files that decide what the project's suite runs.

use omoi_domain::suite::control::{
    SuiteControl, root_modules, shadowed_module, suite_control, suite_part,
};
use omoi_git::mirror::{ChangeKind, PathChange};
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;

use super::IntakeError;
use super::verify::{TaskWork, is_planned};

/// Bytes of a manifest that are compared; a longer one counts as changed.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Files that decide what the suite runs, are not as `measure` has them, and that the plan does not
/// name.
pub(super) async fn changed_controls(
    work: &TaskWork<'_>,
    measure: &ObjectId,
) -> Result<Vec<String>, IntakeError> {
    let changes = work.mirror.changed_files(measure, work.head).await?;
    let listed = work.mirror.list_tree(measure).await?;
    let stood: Vec<String> = listed.iter().map(|entry| entry.path.to_string()).collect();
    let stood = root_modules(stood.iter().map(String::as_str));
    let command = work.spec.suite_command();
    let mut found = Vec::new();
    for change in &changes {
        let path = change.path.to_string();
        if is_planned(work.task, &path) {
            continue;
        }
        let is_shadow =
            change.kind != ChangeKind::Deleted && shadowed_module(&path, &stood).is_some();
        let counts = match suite_control(&path, command) {
            SuiteControl::Whole => true,
            SuiteControl::Part => has_other_part(work, measure, change, &path).await?,
            SuiteControl::None => false,
        };
        if counts || is_shadow {
            found.push(path);
        }
    }
    Ok(found)
}

async fn has_other_part(
    work: &TaskWork<'_>,
    measure: &ObjectId,
    change: &PathChange,
    path: &str,
) -> Result<bool, IntakeError> {
    let (Some(before), Some(after)) = (
        control_part(work, measure, change, path).await?,
        control_part(work, work.head, change, path).await?,
    ) else {
        return Ok(true);
    };
    Ok(before != after)
}

/// What the file says about tests; none when it is too long to be compared.
async fn control_part(
    work: &TaskWork<'_>,
    at: &ObjectId,
    change: &PathChange,
    path: &str,
) -> Result<Option<String>, IntakeError> {
    let read = work.mirror.read_blob(at, &change.path, MANIFEST_BYTES_MAX);
    let text = match read.await {
        Ok(text) => text.unwrap_or_default(),
        Err(GitError::OutputTooLarge { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(suite_part(path, &String::from_utf8_lossy(&text))))
}
