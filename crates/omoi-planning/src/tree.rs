//! What code knows of a spec's repository: its tracked files and its survey.

use std::sync::{Arc, Mutex, PoisonError};

use omoi_domain::id::ProjectId;
use omoi_domain::plan::outputs::RepoPaths;
use omoi_execution::Platform;
use omoi_execution::intake::IntakeError;
use omoi_git::object::ObjectId;
use omoi_git::survey::Survey;
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::specs::Spec;
use serde::Deserialize as _;
use serde_json::Value;

/// Listed trees kept.
const KEPT: usize = 4;

/// Trees by commit, the newest last. A commit names its tree for ever, whatever repository it is
/// in, so the list is right for every platform of the process.
static LISTED: Mutex<Vec<(ObjectId, Arc<RepoPaths>)>> = Mutex::new(Vec::new());

/// The tracked files at `commit`. Items come by the hundred and trees have many files: each tree
/// is listed once.
pub(crate) async fn tracked(
    platform: &Platform,
    project: ProjectId,
    commit: &ObjectId,
) -> Result<Arc<RepoPaths>, IntakeError> {
    if let Some(found) = kept(commit) {
        return Ok(found);
    }
    let entries = platform.mirror(project).await?.list_tree(commit).await?;
    let paths = entries.iter().map(|entry| entry.path.to_string());
    let paths = Arc::new(RepoPaths::new(paths));
    let mut listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    if listed.len() >= KEPT {
        listed.remove(0);
    }
    listed.push((commit.clone(), Arc::clone(&paths)));
    Ok(paths)
}

fn kept(commit: &ObjectId) -> Option<Arc<RepoPaths>> {
    let listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = listed.iter().find(|(of, _)| of == commit);
    found.map(|(_, paths)| Arc::clone(paths))
}

/// The tracked files at the spec's base commit.
pub(crate) async fn of_spec(platform: &Platform, spec: &Spec) -> Result<Arc<RepoPaths>, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    Ok(tracked(platform, spec.project_id, &base).await?)
}

/// The survey stored with the spec.
pub(crate) fn survey(spec: &Spec) -> Result<Survey, StoreError> {
    let stored = spec.survey.0.get("survey").unwrap_or(&Value::Null);
    Survey::deserialize(stored).map_err(|error| StoreError::Corrupt {
        column: "survey",
        value: error.to_string(),
        expected: "survey",
    })
}
