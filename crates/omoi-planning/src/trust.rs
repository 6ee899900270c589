//! What the file of a repository asks for, and whether a person allowed it.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_git::object::ObjectId;
use omoi_protocol::api::RepositoryTrustView;
use omoi_store::projects::Project;
use omoi_store::{StoreError, Tenant, Tx, approvals, projects, repository_trusts};

use crate::commands::CreateError;
use crate::repository_reader::{
    OpenedRepository, RepositoryReader, RepositorySource, repository_path,
};

/// What the file of the repository at `path` asks for at HEAD, and whether a person allowed it. Only looks: a repository
/// that nobody worked on is none of our projects afterwards either.
///
/// # Errors
/// [`CreateError`].
pub async fn look(
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    path: &str,
) -> Result<RepositoryTrustView, CreateError> {
    let info = reader.inspect_repository(path).await?;
    let settings = reader.read_head_settings(&info).await?;
    let repo = repository_path(&info).into_owned();
    let trusted = tenant.read(async |tx| {
        let project = projects::find(tx, &repo).await?;
        is_trusted(tx, project.as_ref(), &settings).await
    });
    let is_trusted = trusted.await?;
    Ok(trust_view(&info.head, settings, repo, is_trusted))
}

impl OpenedRepository {
    /// What its file asks for, now that a person allowed it.
    pub(crate) fn allowed_view(self) -> RepositoryTrustView {
        let repo = self.place_text().into_owned();
        trust_view(self.source.head_commit(), self.settings, repo, true)
    }
}

/// What the file of a repository asks for, in words for the person who is asked.
fn trust_view(
    head: &ObjectId,
    settings: RepositorySettings,
    repo: String,
    is_trusted: bool,
) -> RepositoryTrustView {
    RepositoryTrustView {
        commit: head.to_string(),
        asks: asks(&settings),
        is_trusted,
        file_digest: settings.file_digest,
        repo,
    }
}

/// Refuses what no person allowed.
///
/// # Errors
/// [`CreateError::NotTrusted`], [`CreateError::AsksForMachine`].
pub(crate) async fn expect_trusted(
    tenant: &Tenant,
    repository: &OpenedRepository,
) -> Result<(), CreateError> {
    let OpenedRepository {
        project, settings, ..
    } = repository;
    let trusted = tenant.read(async |tx| is_trusted(tx, Some(project), settings).await);
    match trusted.await? {
        true => Ok(()),
        false => {
            let asks = asks(settings);
            if matches!(repository.source, RepositorySource::Path(_)) {
                ask_people(tenant, project, settings, &asks).await?;
            }
            Err(match &repository.source {
                RepositorySource::Path(info) => CreateError::NotTrusted {
                    repo: repository_path(info).into_owned(),
                    asks,
                },
                RepositorySource::Uploaded(_) => CreateError::AsksForMachine { asks },
            })
        }
    }
}

/// Has people asked whether the file may have what it asks for. What it is refused meanwhile is begun anew with their yes.
async fn ask_people(
    tenant: &Tenant,
    project: &Project,
    settings: &RepositorySettings,
    asks: &[String],
) -> Result<(), StoreError> {
    let Some(digest) = &settings.file_digest else {
        return Ok(());
    };
    let asked = tenant.write(CrashPoint::ProjectCreated, async |tx| {
        // Two who begin at once ask once.
        projects::hold(tx, project.id).await?;
        let digest = digest.clone();
        approvals::ask_about_repository(tx, project.id, digest, asks.join("\n")).await
    });
    asked.await.map(drop)
}

fn asks(settings: &RepositorySettings) -> Vec<String> {
    let privileges = settings.requested_privileges();
    privileges.iter().map(ToString::to_string).collect()
}

/// What asks for nothing needs no yes; what is no project has none.
async fn is_trusted(
    tx: &mut Tx,
    project: Option<&Project>,
    settings: &RepositorySettings,
) -> Result<bool, StoreError> {
    if settings.requested_privileges().is_empty() {
        return Ok(true);
    }
    let Some(project) = project else {
        return Ok(false);
    };
    let kept = repository_trusts::find(tx, UserId::LOCAL, project.id).await?;
    let digest = kept.map(|trust| trust.file_digest);
    Ok(digest.is_some() && digest == settings.file_digest)
}
