//! What the file of a repository asks for, and whether a person allowed it.

use omoi_domain::id::UserId;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_protocol::api::RepositoryTrustView;
use omoi_store::projects::Project;
use omoi_store::{StoreError, Tenant, Tx, repository_trusts};

use crate::commands::CreateError;
use crate::repository_reader::{OpenedRepository, RepositoryReader};

/// What the file of the repository at `path` asks for at HEAD, and whether a person allowed it.
///
/// # Errors
/// [`CreateError`].
pub async fn look(
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    path: &str,
) -> Result<RepositoryTrustView, CreateError> {
    let info = reader.inspect_repository(path).await?;
    let repository = reader.open(tenant, info).await?;
    let OpenedRepository {
        project, settings, ..
    } = &repository;
    let trusted = tenant.read(async |tx| is_trusted(tx, project, settings).await);
    let is_trusted = trusted.await?;
    Ok(repository.trust_view(is_trusted))
}

impl OpenedRepository {
    /// What its file asks for, in words for the person who is asked.
    pub(crate) fn trust_view(self, is_trusted: bool) -> RepositoryTrustView {
        RepositoryTrustView {
            commit: self.info.head.to_string(),
            asks: asks(&self.settings),
            is_trusted,
            file_digest: self.settings.file_digest,
            repo: self.project.repo_path,
        }
    }
}

/// Refuses what no person allowed.
///
/// # Errors
/// [`CreateError::NotTrusted`].
pub(crate) async fn expect_trusted(
    tenant: &Tenant,
    repository: &OpenedRepository,
) -> Result<(), CreateError> {
    let OpenedRepository {
        project, settings, ..
    } = repository;
    let trusted = tenant.read(async |tx| is_trusted(tx, project, settings).await);
    match trusted.await? {
        true => Ok(()),
        false => Err(CreateError::NotTrusted {
            repo: project.repo_path.clone(),
            asks: asks(settings),
        }),
    }
}

fn asks(settings: &RepositorySettings) -> Vec<String> {
    let privileges = settings.requested_privileges();
    privileges.iter().map(ToString::to_string).collect()
}

/// What asks for nothing needs no yes.
async fn is_trusted(
    tx: &mut Tx,
    project: &Project,
    settings: &RepositorySettings,
) -> Result<bool, StoreError> {
    if settings.requested_privileges().is_empty() {
        return Ok(true);
    }
    let kept = repository_trusts::find(tx, UserId::LOCAL, project.id).await?;
    let digest = kept.map(|trust| trust.file_digest);
    Ok(digest.is_some() && digest == settings.file_digest)
}
