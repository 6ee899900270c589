//! The integration branch of a spec: where its tasks are cut from and land.

use serde::de::DeserializeOwned;
use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::phase::Phase;
use omoi_git::mirror::{CommitMeta, FileChange, Identity, Mirror, MirrorError, UpdateRefError};
use omoi_git::object::{BadObjectId, BadPath, ObjectId, RepoPath};
use omoi_git::process::GitError;
use omoi_git::refname::{BadRefName, RefName};
use omoi_git::trailers::Trailer;
use omoi_store::StoreError;
use omoi_store::phases::PhaseRun;
use omoi_store::specs::Spec;

use crate::spec_files::{SpecFiles, SpecFilesError, SpecRenderer, rendered_files};

/// The integration branch could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum IntegrationError {
    /// Its name is not a branch name.
    #[error("the integration branch has no valid name")]
    Name(#[from] BadRefName),
    /// The spec's base is not an object name.
    #[error("the base commit cannot be read")]
    Base(#[from] BadObjectId),
    /// A rendered file has a path git does not take.
    #[error("a spec file has a path that cannot be used")]
    Path(#[from] BadPath),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// The mirror refused.
    #[error("the mirror refused")]
    Mirror(#[from] MirrorError),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// There are no files to begin with.
    #[error("could not get the spec's files")]
    Files(#[from] SpecFilesError),
    /// The ref moved.
    #[error("could not set the integration branch")]
    Ref(#[from] UpdateRefError),
}

/// The mirror's ref of a spec's integration branch.
///
/// # Errors
/// [`IntegrationError::Name`].
pub fn branch_ref(spec: &Spec) -> Result<RefName, IntegrationError> {
    Ok(RefName::from_branch(&spec.integration_branch)?)
}

/// The name of a task's branch in the mirror.
pub fn task_branch(task: TaskId, title: &str) -> String {
    format!(
        "task/{}/{}",
        task.short(),
        omoi_git::slug::title_slug(title, 25)
    )
}

/// What the refs of commits begin with that work begins at.
pub(crate) const BASE_REFS: &str = "refs/omoios/base";

/// The ref that holds a commit which work begins at.
///
/// # Errors
/// [`BadRefName`] never in practice: object names are valid ref parts.
pub fn base_ref(commit: &ObjectId) -> Result<RefName, BadRefName> {
    RefName::parse(&format!("{BASE_REFS}/{commit}"))
}

/// The ref that keeps the last snapshot of an attempt.
///
/// # Errors
/// [`BadRefName`] never in practice: ids are valid ref parts.
pub fn wip_ref(attempt: omoi_domain::id::AttemptId) -> Result<RefName, BadRefName> {
    RefName::parse(&format!("refs/omoios/wip/{attempt}"))
}

/// The head of the integration branch; none before [`ensure_branch`].
///
/// # Errors
/// When git refuses.
pub async fn integration_head(
    mirror: &Mirror,
    spec: &Spec,
) -> Result<Option<ObjectId>, IntegrationError> {
    Ok(mirror.read_ref(&branch_ref(spec)?).await?)
}

/// The head of the integration branch, made from the base commit and `files` when there is none.
///
/// Equal specs give equal commits, so that a crash in between makes nothing twice.
///
/// # Errors
/// When git refuses.
pub async fn ensure_branch(
    mirror: &Mirror,
    spec: &Spec,
    files: SpecFiles,
) -> Result<ObjectId, IntegrationError> {
    let branch = branch_ref(spec)?;
    if let Some(head) = mirror.read_ref(&branch).await? {
        return Ok(head);
    }
    let base = ObjectId::parse(&spec.base_sha)?;
    let first = if files.is_empty() {
        base
    } else {
        let changes = files
            .into_iter()
            .map(|(path, text)| {
                Ok(FileChange {
                    path: RepoPath::new(&path)?,
                    content: Some(text.into_bytes()),
                })
            })
            .collect::<Result<Vec<_>, BadPath>>()?;
        let meta = CommitMeta {
            message: format!("docs(spec): Plan {}", spec.title),
            trailers: vec![Trailer::new(
                "OmoiOS-Spec",
                &format!("SPEC-{}", spec.number),
            )],
            author: Identity::platform(),
            time: spec.created_at,
        };
        mirror.commit_files(&base, &changes, &meta).await?
    };
    match mirror
        .create_ref(&branch, &first, CrashPoint::RefMoved)
        .await
    {
        Ok(()) => {
            info!(spec.id = %spec.id, commit = %first, "Made the branch of SPEC-{}", spec.number);
            Ok(first)
        }
        Err(UpdateRefError::Moved {
            actual: Some(head), ..
        }) => Ok(head),
        Err(other) => Err(other.into()),
    }
}

/// As [`ensure_branch`], with the spec's accepted outputs rendered, where the person wants them along.
///
/// # Errors
/// When the database or git refuses.
pub async fn ensure_for(
    renderer: &SpecRenderer,
    mirror: &Mirror,
    spec: &Spec,
) -> Result<ObjectId, IntegrationError> {
    if let Some(head) = integration_head(mirror, spec).await? {
        return Ok(head);
    }
    let files = if spec.options.0.spec_files {
        rendered_files(renderer, spec).await?
    } else {
        SpecFiles::new()
    };
    ensure_branch(mirror, spec, files).await
}

/// The accepted output of a phase, if it passed.
///
/// # Errors
/// [`StoreError::Corrupt`] when what is stored is no such output.
pub fn phase_output<T: DeserializeOwned>(
    runs: &[PhaseRun],
    phase: Phase,
) -> Result<Option<T>, StoreError> {
    let run = runs.iter().find(|run| run.phase == phase);
    let Some(stored) = run.and_then(|run| run.output.as_ref()) else {
        return Ok(None);
    };
    T::deserialize(&stored.0)
        .map(Some)
        .map_err(|error| StoreError::Corrupt {
            column: "output",
            value: format!("{phase}: {error}"),
            expected: "phase output",
        })
}
