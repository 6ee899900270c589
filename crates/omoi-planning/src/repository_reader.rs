//! Reads the repositories that people name.

use std::borrow::Cow;
use std::path::Path;

use omoi_domain::config::Config;
use omoi_domain::crash::CrashPoint;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_execution::copied_files::CopiedFiles;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_git::mirror::{FetchRef, Mirror};
use omoi_git::refname::RefName;
use omoi_git::repo::{InspectError, RepoInfo, inspect_repository};
use omoi_git::toolchain::HostEnvironment;
use omoi_sandbox::GuardedPlaces;
use omoi_store::projects::{self, Project};
use omoi_store::{StoreError, Tenant};

use crate::commands::CreateError;
use crate::repository_file::{self, CommitPlace, RepositoryFileError};

/// What a process has to read repositories with.
#[derive(Clone)]
pub struct RepositoryAccess {
    /// Git and the mirrors.
    pub folders: RepositoryFolders,
    /// Places that are shown to no sandbox.
    pub guarded: GuardedPlaces,
    /// Files of people's checkouts that sandboxes get.
    pub copies: CopiedFiles,
}

impl FromParts for RepositoryAccess {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            folders: RepositoryFolders::from_parts(parts),
            guarded: parts.guarded.clone(),
            copies: CopiedFiles::from_parts(parts),
        }
    }
}

/// Reads repositories of this machine under the configuration of this process.
#[derive(Clone, Copy)]
pub struct RepositoryReader<'a> {
    /// What this process has for it.
    pub access: &'a RepositoryAccess,
    /// The machine, for surveys.
    pub host: &'a HostEnvironment,
    /// The configuration that the repository's own file is limited by.
    pub config: &'a Config,
}

/// A repository at its HEAD, with a mirror that has that commit.
pub(crate) struct OpenedRepository {
    /// What was found at the place a person named.
    pub(crate) info: RepoInfo,
    /// Its project.
    pub(crate) project: Project,
    /// Its mirror.
    pub(crate) mirror: Mirror,
    /// What its own file says at HEAD.
    pub(crate) settings: RepositorySettings,
}

impl RepositoryReader<'_> {
    /// Looks at the repository at `path`.
    pub(crate) async fn inspect_repository(&self, path: &str) -> Result<RepoInfo, InspectError> {
        inspect_repository(&self.access.folders.git, Path::new(path)).await
    }

    /// Brings HEAD of a repository into its mirror and reads its own file there.
    pub(crate) async fn open(
        &self,
        tenant: &Tenant,
        info: RepoInfo,
    ) -> Result<OpenedRepository, CreateError> {
        let project = ensure_project(tenant, &info).await?;
        let mirror = self.access.folders.project_mirror(project.id).await?;
        let fetch = FetchRef {
            commit: info.head.clone(),
            target: RefName::parse(&format!("refs/omoios/base/{}", info.head))?,
        };
        mirror.fetch_from(&info, &[fetch]).await?;
        let place = CommitPlace::Mirror {
            mirror: &mirror,
            commit: &info.head,
        };
        let settings = self.read_settings(place).await?;
        Ok(OpenedRepository {
            info,
            project,
            mirror,
            settings,
        })
    }

    /// What the repository's own file says at HEAD. Nothing is made or copied for that.
    pub(crate) async fn read_head_settings(
        &self,
        info: &RepoInfo,
    ) -> Result<RepositorySettings, RepositoryFileError> {
        let git = &self.access.folders.git;
        self.read_settings(CommitPlace::Repository { git, info })
            .await
    }

    async fn read_settings(
        &self,
        place: CommitPlace<'_>,
    ) -> Result<RepositorySettings, RepositoryFileError> {
        let home = self.host.home.as_deref();
        let settings = repository_file::read_repository_file(place, self.config, home).await?;
        repository_file::expect_shown(&self.access.guarded, &settings)?;
        Ok(settings)
    }
}

/// The path of a repository as its project's row has it.
pub(crate) fn repository_path(info: &RepoInfo) -> Cow<'_, str> {
    info.toplevel.to_string_lossy()
}

/// The project of a repository, made when it is the first time.
pub(crate) async fn ensure_project(
    tenant: &Tenant,
    info: &RepoInfo,
) -> Result<Project, CreateError> {
    let name = info.toplevel.file_name().unwrap_or_default();
    let name = match name.to_string_lossy() {
        name if name.is_empty() => "repository".to_owned(),
        name => name.into_owned(),
    };
    let path = repository_path(info);
    let ensure = async || {
        let ensured = tenant.write(CrashPoint::ProjectCreated, async |tx| {
            projects::ensure(tx, &name, &path).await
        });
        ensured.await
    };
    match ensure().await {
        // Somebody else began it, or took its name, after this looked.
        Err(StoreError::Exists { .. }) => Ok(ensure().await?),
        ensured => Ok(ensured?),
    }
}
