//! Which paths the file tools may use.
//!
//! A path is walked component by component from a folder known to be real, following symbolic links as
//! the system would; only where it ends counts.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Why a path is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// It leads out of every folder that may be used.
    #[error("`{path}` is outside the workspace; only files in the workspace can be used")]
    Outside {
        /// The path as the model gave it.
        path: String,
    },
    /// The platform's own files, or the settings of agent programs.
    #[error("`{path}` is protected and cannot be changed")]
    Protected {
        /// The path as the model gave it.
        path: String,
    },
    /// It names git's own files.
    #[error("`{path}` is git's own data and cannot be changed with this tool")]
    GitData {
        /// The path as the model gave it.
        path: String,
    },
    /// A symbolic link to nothing, or links without end.
    #[error("`{path}` leads through a symbolic link that ends nowhere")]
    Nowhere {
        /// The path as the model gave it.
        path: String,
    },
    /// No path at all.
    #[error("the path is empty")]
    Empty,
    /// The file system refused to look it up.
    #[error("could not look at `{path}`: {source}")]
    Io {
        /// The path as the model gave it.
        path: String,
        /// Error of the file system.
        source: io::Error,
    },
}

/// A path that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolPath {
    /// Absolute path without symbolic links.
    pub(crate) real_path: PathBuf,
    /// Path for people: relative to the workspace where it lies inside.
    pub(crate) display_path: String,
}

/// Folders that the file tools may use in this attempt.
#[derive(Clone, Debug)]
pub(crate) struct AllowedPaths {
    workspace: PathBuf,
    given_root: PathBuf,
    scratch: Vec<PathBuf>,
    protected: Vec<String>,
}

impl AllowedPaths {
    /// The workspace and the scratch folders beside it. Scratch that is missing or holds the workspace
    /// is none.
    pub(crate) fn new(
        workspace: &Path,
        scratch: Vec<PathBuf>,
        protected: Vec<String>,
    ) -> io::Result<Self> {
        let real = workspace.canonicalize()?;
        let scratch = scratch.iter().filter_map(|p| p.canonicalize().ok());
        Ok(Self {
            scratch: scratch.filter(|p| !real.starts_with(p)).collect(),
            given_root: workspace.to_path_buf(),
            workspace: real,
            protected,
        })
    }

    /// The workspace's real folder.
    pub(crate) fn workspace_root(&self) -> &Path {
        &self.workspace
    }

    /// Folders beside the workspace that may be written.
    pub(crate) fn scratch_folders(&self) -> &[PathBuf] {
        &self.scratch
    }

    /// The first folder beside the workspace that may be written.
    pub(crate) fn scratch_folder(&self) -> Option<&Path> {
        self.scratch.first().map(PathBuf::as_path)
    }

    /// A path to read; it need not exist.
    pub(crate) fn resolve_readable(&self, text: &str) -> Result<ToolPath, PathError> {
        let path = text.to_owned();
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        let full = self.resolve_links(Path::new(text), &path)?;
        let in_workspace = full.starts_with(&self.workspace);
        // A relative path names a file of the workspace; scratch has to be meant.
        let in_scratch = || Path::new(text).is_absolute() && self.is_scratch(&full);
        if !in_workspace && !in_scratch() {
            return Err(PathError::Outside { path });
        }
        Ok(ToolPath {
            display_path: self.display_path(&full),
            real_path: full,
        })
    }

    /// A path to write; it need not exist.
    pub(crate) fn resolve_writable(&self, text: &str) -> Result<ToolPath, PathError> {
        let target = self.resolve_readable(text)?;
        let path = text.to_owned();
        if let Ok(inside) = target.real_path.strip_prefix(&self.workspace) {
            if inside.components().any(|c| c.as_os_str() == ".git") {
                return Err(PathError::GitData { path });
            }
            if self.protected.iter().any(|p| inside.starts_with(p)) {
                return Err(PathError::Protected { path });
            }
        }
        Ok(target)
    }

    /// A path for people.
    pub(crate) fn display_path(&self, full: &Path) -> String {
        match full.strip_prefix(&self.workspace) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => full.display().to_string(),
        }
    }

    fn is_scratch(&self, full: &Path) -> bool {
        self.scratch.iter().any(|folder| full.starts_with(folder))
    }

    fn resolve_links(&self, path: &Path, shown: &str) -> Result<PathBuf, PathError> {
        // What was given as the workspace may itself lead through a link.
        let path = path.strip_prefix(&self.given_root).unwrap_or(path);
        let mut real = self.workspace.clone();
        for component in path.components() {
            match component {
                Component::RootDir | Component::Prefix(_) => real = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => {
                    real.pop();
                }
                Component::Normal(name) => {
                    real.push(name);
                    match fs::symlink_metadata(&real) {
                        Ok(meta) if meta.is_symlink() => {
                            real = real.canonicalize().map_err(|_| PathError::Nowhere {
                                path: shown.to_owned(),
                            })?;
                        }
                        Ok(_) => {}
                        // What is not there yet cannot lead anywhere else.
                        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => {}
                        Err(source) => {
                            return Err(PathError::Io {
                                path: shown.to_owned(),
                                source,
                            });
                        }
                    }
                }
            }
        }
        Ok(real)
    }
}
