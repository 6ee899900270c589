//! The `.omoi.yaml` of a repository: git data of the base commit, never a file of the work tree.

use std::path::Path;

use omoi_domain::config::Config;
use omoi_domain::repository_settings::{REPOSITORY_FILE, RepositorySettings};
use omoi_git::mirror::{EntryKind, FileEntry, Mirror};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::{Git, GitError};
use omoi_git::repo::RepoInfo;
use omoi_runtime::config::{FILE_BYTES_MAX, LoadError};
use omoi_sandbox::{GuardRefusal, GuardedPlaces, MountSource};

use crate::options::read_repository_settings;

/// Why the file of a repository was refused.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryFileError {
    /// It is something else.
    #[error(
        "`{REPOSITORY_FILE}` of the {place} is {found}; make it an ordinary file and commit it"
    )]
    NotAFile {
        /// The commit or the work tree.
        place: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// It is too large to be a configuration.
    #[error("`{REPOSITORY_FILE}` has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// It is not text.
    #[error("`{REPOSITORY_FILE}` is not UTF-8 text")]
    NotText,
    /// It says something wrong, or something a repository must not say.
    #[error("`{REPOSITORY_FILE}` at commit {commit:.10} is refused")]
    Refused {
        /// The commit it was read at.
        commit: String,
        /// The place and the reason.
        #[source]
        source: Box<LoadError>,
    },
    /// It lists a place that nobody may show.
    #[error("`{REPOSITORY_FILE}` lists a folder that no yes can allow")]
    Guarded(#[from] GuardRefusal),
    /// Git refused.
    #[error("could not read `{REPOSITORY_FILE}` of the base commit")]
    Git(#[from] GitError),
}

/// A commit, and where it is read.
#[derive(Clone, Copy)]
pub(crate) enum CommitPlace<'a> {
    /// A commit of a mirror.
    Mirror {
        /// The mirror.
        mirror: &'a Mirror,
        /// The commit.
        commit: &'a ObjectId,
    },
    /// HEAD of a person's repository, of which nothing is copied.
    Repository {
        /// Reads it.
        git: &'a Git,
        /// The repository.
        info: &'a RepoInfo,
    },
}

impl CommitPlace<'_> {
    const fn commit_id(&self) -> &ObjectId {
        match self {
            Self::Mirror { commit, .. } => commit,
            Self::Repository { info, .. } => &info.head,
        }
    }

    async fn list_files(&self) -> Result<Vec<FileEntry>, GitError> {
        match self {
            Self::Mirror { mirror, commit } => mirror.list_tree(commit).await,
            Self::Repository { git, info } => info.list_head(git).await,
        }
    }

    async fn read_file(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, GitError> {
        let bytes_max = FILE_BYTES_MAX as usize;
        match self {
            Self::Mirror { mirror, commit } => mirror.read_blob(commit, path, bytes_max).await,
            Self::Repository { git, info } => info.read_head_file(git, path, bytes_max).await,
        }
    }
}

/// What the file says at the commit of `place`; a commit without one says nothing.
///
/// # Errors
/// [`RepositoryFileError`].
pub(crate) async fn read_repository_file(
    place: CommitPlace<'_>,
    own: &Config,
    home: Option<&Path>,
) -> Result<RepositorySettings, RepositoryFileError> {
    let Some(text) = text_at(place).await? else {
        return Ok(RepositorySettings::default());
    };
    read_repository_settings(own, home, &text).map_err(|source| RepositoryFileError::Refused {
        commit: place.commit_id().to_string(),
        source: Box::new(source),
    })
}

async fn text_at(place: CommitPlace<'_>) -> Result<Option<String>, RepositoryFileError> {
    let name = REPOSITORY_FILE.as_bytes();
    let at_root = |path: &[u8]| path.split(|b| *b == b'/').next() == Some(name);
    let entries = place.list_files().await?;
    let Some(entry) = entries.iter().find(|e| at_root(e.path.as_bytes())) else {
        return Ok(None);
    };
    let not_a_file = |found| RepositoryFileError::NotAFile {
        place: "commit",
        found,
    };
    if entry.path.as_bytes() != name {
        return Err(not_a_file("a folder"));
    }
    match entry.kind {
        EntryKind::File | EntryKind::Executable => {}
        EntryKind::Symlink => return Err(not_a_file("a symbolic link")),
        EntryKind::Submodule => return Err(not_a_file("a submodule")),
    }
    if entry.bytes > FILE_BYTES_MAX {
        return Err(RepositoryFileError::TooLarge { bytes: entry.bytes });
    }
    let content = place.read_file(&entry.path).await?;
    let text = String::from_utf8(content.unwrap_or_default());
    text.map(Some).map_err(|_| RepositoryFileError::NotText)
}

/// Refuses folders that are shown to nobody, before a person is asked about them.
///
/// # Errors
/// [`RepositoryFileError::Guarded`].
pub(crate) fn expect_shown(
    guarded: &GuardedPlaces,
    settings: &RepositorySettings,
) -> Result<(), RepositoryFileError> {
    for path in &settings.read_only {
        guarded.check_mount(path, MountSource::Repository)?;
    }
    Ok(())
}

/// Looks at the work tree without opening anything: the file a person sees there has no effect until
/// it is committed, and what is no file there is a mistake.
///
/// # Errors
/// [`RepositoryFileError::NotAFile`].
pub(crate) fn look_at_work_tree(
    toplevel: &Path,
    committed: &RepositorySettings,
) -> Result<Option<String>, RepositoryFileError> {
    let Ok(found) = std::fs::symlink_metadata(toplevel.join(REPOSITORY_FILE)) else {
        return Ok(None);
    };
    let found = found.file_type();
    if found.is_file() {
        let note = format!("`{REPOSITORY_FILE}` is not committed; it has no effect");
        return Ok(committed.file_digest.is_none().then_some(note));
    }
    Err(RepositoryFileError::NotAFile {
        place: "work tree",
        found: match () {
            () if found.is_symlink() => "a symbolic link",
            () if found.is_dir() => "a folder",
            () => "no ordinary file",
        },
    })
}
