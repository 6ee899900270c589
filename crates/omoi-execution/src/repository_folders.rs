//! Where a process keeps repositories and work on this host.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use omoi_domain::id::{AttemptId, ProjectId};
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_git::process::Git;

use crate::deployment::{DeploymentParts, FromParts};

/// Git, and the folders it works in.
#[derive(Clone, Debug)]
pub struct RepositoryFolders {
    /// The git program of this host.
    pub git: Git,
    /// The folders of this deployment.
    pub data: DataDir,
}

impl FromParts for RepositoryFolders {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            git: parts.git.clone(),
            data: parts.data.clone(),
        }
    }
}

impl RepositoryFolders {
    /// The mirror of a project, made when there is none.
    ///
    /// # Errors
    /// When the folder or git refuses.
    pub async fn project_mirror(&self, project: ProjectId) -> Result<Mirror, MirrorError> {
        Mirror::open_or_create(&self.git, &self.data.mirror_path(project)).await
    }
}

/// How the names of sockets of set-ups begin.
const SETUP_SOCKET: &str = "setup-";

/// The folders of one deployment on this host.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The folder at `path`, which exists.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder itself.
    pub fn root_folder(&self) -> &Path {
        &self.0
    }

    /// The mirror of a project.
    pub fn mirror_path(&self, project: ProjectId) -> PathBuf {
        self.0.join("mirrors").join(format!("{project}.git"))
    }

    /// The project whose mirror is at `mirror`.
    pub fn mirrored_project(mirror: &Path) -> Option<ProjectId> {
        let name = mirror.file_name()?.to_str()?;
        name.strip_suffix(".git")?.parse().ok()
    }

    /// The projects that have a mirror here.
    ///
    /// # Errors
    /// When the folder of mirrors cannot be read.
    pub fn mirrored_projects(&self) -> io::Result<Vec<ProjectId>> {
        let entries = match std::fs::read_dir(self.0.join("mirrors")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mirrors = entries.map(|entry| Ok(entry?.path()));
        let mirrors: Vec<_> = mirrors.collect::<io::Result<_>>()?;
        let projects = mirrors.iter().map(|mirror| Self::mirrored_project(mirror));
        Ok(projects.flatten().collect())
    }

    /// Clones and scratch of live attempts.
    pub fn work_folder(&self) -> PathBuf {
        self.0.join("work")
    }

    /// Prepared checkouts that workspaces are laid over.
    pub fn layers_folder(&self) -> PathBuf {
        self.0.join("layers")
    }

    /// The workspace of one attempt.
    pub fn workspace_path(&self, attempt: AttemptId) -> PathBuf {
        self.work_folder().join(attempt.to_string())
    }

    /// The socket through which the set-up called `name` reaches registries.
    pub fn setup_socket(&self, name: &str) -> PathBuf {
        self.0.join(format!("{SETUP_SOCKET}{name}.sock"))
    }

    /// Sockets of set-ups, which are of an earlier process where this one has begun none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn setup_sockets(&self) -> io::Result<Vec<PathBuf>> {
        let mut sockets = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            let is_named = entry
                .file_name()
                .to_string_lossy()
                .starts_with(SETUP_SOCKET);
            if is_named && entry.file_type()?.is_socket() {
                sockets.push(entry.path());
            }
        }
        Ok(sockets)
    }

    /// The socket workers reach the platform through.
    pub fn worker_socket(&self) -> PathBuf {
        self.0.join("worker.sock")
    }

    /// Rendered files of a spec.
    pub fn spec_files(&self, number: i64, project: ProjectId) -> PathBuf {
        self.0
            .join("specs")
            .join(format!("{}-SPEC-{number}", project.short()))
    }
}
