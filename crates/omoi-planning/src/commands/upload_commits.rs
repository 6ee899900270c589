//! What a person sends of a repository that lies elsewhere: the commits that its mirror does not have.

use tracing::info;

use omoi_domain::id::ProjectId;
use omoi_execution::integration::base_ref;
use omoi_git::import::{ImportHold, ImportLimits, ImportRequest, import_bundle};
use omoi_git::object::ObjectId;
use omoi_store::Tenant;

use super::CreateError;
use crate::repository_reader::RepositoryAccess;

/// What the mirror of a project has of the commits that a person asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCommits {
    /// Those that it has, in the order asked.
    pub have: Vec<ObjectId>,
    /// Whether it has none at all.
    pub is_empty: bool,
}

/// Tells which of `asked` the mirror of `project` has.
///
/// # Errors
/// [`CreateError::OnServer`].
pub async fn find_known_commits(
    access: &RepositoryAccess,
    tenant: &Tenant,
    project: ProjectId,
    asked: &[ObjectId],
) -> Result<KnownCommits, CreateError> {
    let (_, mirror) = access.uploaded_mirror(tenant, project).await?;
    Ok(KnownCommits {
        have: mirror.known_commits(asked).await?,
        is_empty: mirror.is_empty().await?,
    })
}

/// Takes in a bundle that brings `commit`, checked as what agents send is, but for its size and the flaws of old histories.
/// Only `commit` gets a ref: whatever else the bundle names moves nothing.
///
/// # Errors
/// [`CreateError::OnServer`], [`CreateError::Upload`]; nothing of a bundle that is refused joins the mirror.
pub async fn upload_commits(
    access: &RepositoryAccess,
    tenant: &Tenant,
    project: ProjectId,
    upload: CommitUpload<'_>,
) -> Result<(), CreateError> {
    let CommitUpload { commit, bundle } = upload;
    let (project, mirror) = access.uploaded_mirror(tenant, project).await?;
    // What the bundle builds on may be reached by no ref yet, and stays until one reaches what it brings.
    let _kept_refs = mirror.keep_refs().await?;
    let request = ImportRequest {
        hold: ImportHold::Ref {
            name: &base_ref(commit)?,
            commit,
        },
        bundle,
        base: &ObjectId::empty_tree(),
        limits: &ImportLimits::of_history(),
    };
    import_bundle(&mirror, request).await?;
    let bytes = bundle.len();
    info!(project.id = %project.id, %commit, bytes, "Took in {bytes} bytes of commits of `{}`", project.name);
    Ok(())
}

/// A bundle and what it is to bring.
#[derive(Clone, Copy, Debug)]
pub struct CommitUpload<'a> {
    /// The commit.
    pub commit: &'a ObjectId,
    /// The bundle, version 2.
    pub bundle: &'a [u8],
}
