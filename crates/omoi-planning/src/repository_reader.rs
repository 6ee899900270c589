//! Reads the repositories that people name, on the disk of this process or as what they sent of them.

use std::borrow::Cow;
use std::path::Path;

use omoi_domain::config::Config;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::ProjectId;
use omoi_domain::project::ProjectStatus;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_execution::copied_files::CopiedFiles;
use omoi_execution::integration::base_ref;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_git::mirror::{FetchRef, KeptRefs, Mirror};
use omoi_git::object::ObjectId;
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

/// Where the commits of a project come from.
pub(crate) enum RepositorySource {
    /// A repository on the disk of this process, as it was found there.
    Path(RepoInfo),
    /// A repository elsewhere, of which a person sends commits.
    Uploaded(UploadedHead),
}

/// HEAD of a repository elsewhere.
#[derive(Clone, Debug)]
pub struct UploadedHead {
    /// The commit.
    pub commit: ObjectId,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// Whether the work tree had more than the commit.
    pub dirty: bool,
}

impl RepositorySource {
    /// The commit that work begins at.
    pub(crate) const fn head_commit(&self) -> &ObjectId {
        match self {
            Self::Path(info) => &info.head,
            Self::Uploaded(head) => &head.commit,
        }
    }

    /// The branch that was checked out.
    pub(crate) fn branch_name(&self) -> Option<&str> {
        match self {
            Self::Path(info) => info.branch.as_deref(),
            Self::Uploaded(head) => head.branch.as_deref(),
        }
    }

    /// Whether there was more than the commit.
    pub(crate) const fn is_dirty(&self) -> bool {
        match self {
            Self::Path(info) => info.dirty,
            Self::Uploaded(head) => head.dirty,
        }
    }

    /// Its work tree, where this process can look at it.
    pub(crate) fn work_tree(&self) -> Option<&Path> {
        match self {
            Self::Path(info) => Some(&info.toplevel),
            Self::Uploaded(_) => None,
        }
    }
}

/// A repository at its HEAD, with a mirror that has that commit.
pub(crate) struct OpenedRepository {
    /// Where it comes from.
    pub(crate) source: RepositorySource,
    /// Its project.
    pub(crate) project: Project,
    /// Its mirror.
    pub(crate) mirror: Mirror,
    /// What its own file says at HEAD.
    pub(crate) settings: RepositorySettings,
    /// Keeps the commit in the mirror until a row says that a spec begins there.
    _kept_refs: KeptRefs,
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
        let kept_refs = mirror.keep_refs().await?;
        let fetch = FetchRef {
            commit: info.head.clone(),
            target: base_ref(&info.head)?,
        };
        mirror.fetch_from(&info, &[fetch]).await?;
        let source = RepositorySource::Path(info);
        self.open_in(mirror, kept_refs, project, source).await
    }

    /// The commit that a person sent of the repository of a project, with what its own file says there.
    ///
    /// # Errors
    /// [`CreateError::NotUploaded`], [`CreateError::OnServer`].
    pub(crate) async fn open_uploaded(
        &self,
        tenant: &Tenant,
        project: ProjectId,
        head: UploadedHead,
    ) -> Result<OpenedRepository, CreateError> {
        let (project, mirror) = self.access.uploaded_mirror(tenant, project).await?;
        let kept_refs = mirror.keep_refs().await?;
        if !mirror.has_commit(&head.commit).await? {
            return Err(CreateError::NotUploaded {
                commit: head.commit,
            });
        }
        mirror
            .hold_commit(&base_ref(&head.commit)?, &head.commit)
            .await?;
        let source = RepositorySource::Uploaded(head);
        self.open_in(mirror, kept_refs, project, source).await
    }

    async fn open_in(
        &self,
        mirror: Mirror,
        kept_refs: KeptRefs,
        project: Project,
        source: RepositorySource,
    ) -> Result<OpenedRepository, CreateError> {
        let place = CommitPlace::Mirror {
            mirror: &mirror,
            commit: source.head_commit(),
        };
        let settings = self.read_settings(place).await?;
        Ok(OpenedRepository {
            source,
            project,
            mirror,
            settings,
            _kept_refs: kept_refs,
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

impl RepositoryAccess {
    /// A project whose repository lies elsewhere, with its mirror.
    ///
    /// # Errors
    /// [`CreateError::OnServer`] for one whose repository lies on the disk of this process, [`CreateError::PutAway`].
    pub(crate) async fn uploaded_mirror(
        &self,
        tenant: &Tenant,
        project: ProjectId,
    ) -> Result<(Project, Mirror), CreateError> {
        let found = tenant.read(async |tx| projects::get(tx, project).await);
        let found = found.await?;
        if found.repo_path.is_some() {
            return Err(CreateError::OnServer {
                project: found.name,
            });
        }
        if found.status == ProjectStatus::Archived {
            return Err(CreateError::PutAway {
                project: found.name,
            });
        }
        let mirror = self.folders.project_mirror(found.id).await?;
        Ok((found, mirror))
    }
}

impl OpenedRepository {
    /// What a person calls the repository: its path, or the name of its project where it lies elsewhere.
    pub(crate) fn place_text(&self) -> Cow<'_, str> {
        match &self.source {
            RepositorySource::Path(info) => repository_path(info),
            RepositorySource::Uploaded(_) => Cow::Borrowed(&self.project.name),
        }
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
