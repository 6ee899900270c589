//! The yes of a person to what the file of a repository asks for.

use std::path::Path;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_execution::Platform;
use omoi_git::repo::inspect;
use omoi_git::toolchain::Host;
use omoi_protocol::control::{RepositoryTrustView, TrustRepository};
use omoi_runtime::config::Config;
use omoi_store::projects::Project;
use omoi_store::{StoreError, Tx, repository_trusts};

use crate::create::{CreateError, mirrored};
use crate::repository_file;

/// What the file of the repository at `path` asks for at HEAD, and whether a person allowed it.
///
/// # Errors
/// [`CreateError`].
pub async fn look(
    platform: &Platform,
    host: &Host,
    own: &Config,
    path: &str,
) -> Result<RepositoryTrustView, CreateError> {
    let (project, settings, commit) = read(platform, host, own, path).await?;
    let mut tx = platform.store.begin_read().await?;
    Ok(RepositoryTrustView {
        commit,
        asks: asks(&settings),
        is_trusted: is_trusted(&mut tx, &project, &settings).await?,
        file_digest: settings.file_digest,
        repo: project.repo_path,
    })
}

/// Keeps a person's yes to the text they saw.
///
/// # Errors
/// [`CreateError::TrustOutdated`] when HEAD has another text by now.
pub async fn allow(
    platform: &Platform,
    host: &Host,
    own: &Config,
    request: &TrustRepository,
) -> Result<RepositoryTrustView, CreateError> {
    let (project, settings, commit) = read(platform, host, own, &request.repo).await?;
    if settings.file_digest.as_deref() != Some(request.file_digest.as_str()) {
        return Err(CreateError::TrustOutdated);
    }
    let mut tx = platform.store.begin_write().await?;
    repository_trusts::keep(&mut tx, UserId::LOCAL, project.id, &request.file_digest).await?;
    tx.commit(CrashPoint::ProjectCreated).await?;
    Ok(RepositoryTrustView {
        commit,
        asks: asks(&settings),
        is_trusted: true,
        file_digest: settings.file_digest,
        repo: project.repo_path,
    })
}

/// Refuses what no person allowed.
///
/// # Errors
/// [`CreateError::NotTrusted`].
pub(crate) async fn expect_trusted(
    platform: &Platform,
    project: &Project,
    settings: &RepositorySettings,
) -> Result<(), CreateError> {
    let mut tx = platform.store.begin_read().await?;
    match is_trusted(&mut tx, project, settings).await? {
        true => Ok(()),
        false => Err(CreateError::NotTrusted {
            repo: project.repo_path.clone(),
            asks: asks(settings),
        }),
    }
}

async fn read(
    platform: &Platform,
    host: &Host,
    own: &Config,
    path: &str,
) -> Result<(Project, RepositorySettings, String), CreateError> {
    let repo = inspect(&platform.git, Path::new(path)).await?;
    let (project, mirror) = mirrored(platform, &repo).await?;
    let home = host.home.as_deref();
    let settings = repository_file::read(&mirror, &repo.head, own, home).await?;
    repository_file::expect_shown(platform, &settings)?;
    Ok((project, settings, repo.head.to_string()))
}

fn asks(settings: &RepositorySettings) -> Vec<String> {
    let privileges = settings.privileges();
    privileges.iter().map(ToString::to_string).collect()
}

/// What asks for nothing needs no yes.
async fn is_trusted(
    tx: &mut Tx,
    project: &Project,
    settings: &RepositorySettings,
) -> Result<bool, StoreError> {
    if settings.privileges().is_empty() {
        return Ok(true);
    }
    let kept = repository_trusts::find(tx, UserId::LOCAL, project.id).await?;
    let digest = kept.map(|trust| trust.file_digest);
    Ok(digest.is_some() && digest == settings.file_digest)
}
