//! What code knows of a spec's repository: its tracked files, the names in them and its survey.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize as _;
use serde_json::Value;

use omoi_domain::id::ProjectId;
use omoi_execution::intake::IntakeError;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::object::ObjectId;
use omoi_git::survey::{Survey, texts_of_commit};
use omoi_plan::repository::{RepoPaths, RepositoryFacts};
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::specs::Spec;

use crate::gate::repository_facts;

/// Listed trees kept.
const KEPT: usize = 4;

type ByCommit<T> = Mutex<Vec<(ObjectId, Arc<T>)>>;

/// Trees by commit, the newest last. A commit names its tree for ever, whatever repository it is
/// in, so the list is right for every platform of the process.
static LISTED: ByCommit<RepoPaths> = Mutex::new(Vec::new());

/// The same for all that is read of them.
static READ: ByCommit<RepositoryFacts> = Mutex::new(Vec::new());

/// The tracked files at `commit`. Items come by the hundred and trees have many files: each tree
/// is listed once.
pub(crate) async fn tracked(
    folders: &RepositoryFolders,
    project: ProjectId,
    commit: &ObjectId,
) -> Result<Arc<RepoPaths>, IntakeError> {
    if let Some(found) = kept(&LISTED, commit) {
        return Ok(found);
    }
    let entries = folders
        .project_mirror(project)
        .await?
        .list_tree(commit)
        .await?;
    let paths = entries.iter().map(|entry| entry.path.to_string());
    let paths = Arc::new(RepoPaths::new(paths));
    keep(&LISTED, commit, &paths);
    Ok(paths)
}

/// All that the gates hold claims about the spec's repository against.
pub(crate) async fn facts(
    folders: &RepositoryFolders,
    spec: &Spec,
) -> Result<Arc<RepositoryFacts>, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    if let Some(found) = kept(&READ, &base) {
        return Ok(found);
    }
    let paths = tracked(folders, spec.project_id, &base).await?;
    let mirror = folders.project_mirror(spec.project_id).await?;
    let texts = texts_of_commit(&mirror, &base).await?;
    let facts = Arc::new(repository_facts((*paths).clone(), &texts, &survey(spec)?));
    keep(&READ, &base, &facts);
    Ok(facts)
}

fn keep<T>(cache: &ByCommit<T>, commit: &ObjectId, found: &Arc<T>) {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= KEPT {
        cache.remove(0);
    }
    cache.push((commit.clone(), Arc::clone(found)));
}

fn kept<T>(cache: &ByCommit<T>, commit: &ObjectId) -> Option<Arc<T>> {
    let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let found = cache.iter().find(|(of, _)| of == commit);
    found.map(|(_, found)| Arc::clone(found))
}

/// The tracked files at the spec's base commit.
pub(crate) async fn of_spec(
    folders: &RepositoryFolders,
    spec: &Spec,
) -> Result<Arc<RepoPaths>, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    Ok(tracked(folders, spec.project_id, &base).await?)
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
