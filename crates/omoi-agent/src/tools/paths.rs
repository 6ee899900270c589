//! Which paths the file tools may use.
//!
//! A path is walked component by component from a folder known to be real, following symbolic links as
//! the system would; only where it ends counts.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a path is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// It leads out of every folder that may be used.
    #[error("`{path}` is outside the workspace; only files in the workspace can be used")]
    Outside {
        /// As it was given.
        path: String,
    },
    /// The platform's own files, or the settings of agent programs.
    #[error("`{path}` is protected and cannot be changed")]
    Protected {
        /// As it was given.
        path: String,
    },
    /// Git's own files.
    #[error("`{path}` is git's own data and cannot be changed with this tool")]
    GitData {
        /// As it was given.
        path: String,
    },
    /// A symbolic link to nothing, or links without end.
    #[error("`{path}` leads through a symbolic link that ends nowhere")]
    Nowhere {
        /// As it was given.
        path: String,
    },
    /// No path at all.
    #[error("the path is empty")]
    Empty,
    /// The system refused.
    #[error("could not look at `{path}`: {source}")]
    Io {
        /// As it was given.
        path: String,
        /// What it said.
        source: io::Error,
    },
}

/// A path that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Real, without links.
    pub(crate) full: PathBuf,
    /// As people read it: relative to the workspace where it is in there.
    pub(crate) shown: String,
}

/// The folders of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    workspace: PathBuf,
    given: PathBuf,
    scratch: Vec<PathBuf>,
    protected: Vec<String>,
}

impl Places {
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
            given: workspace.to_path_buf(),
            workspace: real,
            protected,
        })
    }

    /// The workspace's real folder.
    pub(crate) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// A path to read; it need not exist.
    pub(crate) fn readable(&self, text: &str) -> Result<Place, PathError> {
        let path = text.to_owned();
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        let full = self.walk(Path::new(text), &path)?;
        let in_workspace = full.starts_with(&self.workspace);
        // A relative path names a file of the workspace; scratch has to be meant.
        let in_scratch = || Path::new(text).is_absolute() && self.is_scratch(&full);
        if !in_workspace && !in_scratch() {
            return Err(PathError::Outside { path });
        }
        Ok(Place {
            shown: self.shown(&full),
            full,
        })
    }

    /// A path to write; it need not exist.
    pub(crate) fn writable(&self, text: &str) -> Result<Place, PathError> {
        let place = self.readable(text)?;
        let path = text.to_owned();
        if let Ok(inside) = place.full.strip_prefix(&self.workspace) {
            if inside.components().any(|c| c.as_os_str() == ".git") {
                return Err(PathError::GitData { path });
            }
            if self.protected.iter().any(|p| inside.starts_with(p)) {
                return Err(PathError::Protected { path });
            }
        }
        Ok(place)
    }

    /// A path for people.
    pub(crate) fn shown(&self, full: &Path) -> String {
        match full.strip_prefix(&self.workspace) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => full.display().to_string(),
        }
    }

    fn is_scratch(&self, full: &Path) -> bool {
        self.scratch.iter().any(|folder| full.starts_with(folder))
    }

    fn walk(&self, path: &Path, shown: &str) -> Result<PathBuf, PathError> {
        // What was given as the workspace may itself lead through a link.
        let path = path.strip_prefix(&self.given).unwrap_or(path);
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
