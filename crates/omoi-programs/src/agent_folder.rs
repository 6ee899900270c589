//! The folder of the installed agent programs. A program lies below its digest, is read-only and whole:
//! it came there by a rename.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::{close_folders, remove_closed};
use crate::error::AgentProgramError;
use crate::pinned_list::{ChosenBuild, ProgramRuntime, stays_below};

/// Describes the program that lies beside it.
const MANIFEST: &str = "omoi-program.json";
/// The packages of a program.
const CONTENT: &str = "content";
/// Held while programs are installed or removed.
const LOCK: &str = ".lock";
/// In front of the digest while a program is not whole.
const UNFINISHED: &str = ".unfinished-";

/// The folder of the installed agent programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFolder {
    path: PathBuf,
}

/// What is written beside an installed program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramManifest {
    /// What people install it by.
    pub name: String,
    /// What people choose it by.
    pub agent: String,
    /// Its version.
    pub version: String,
    /// What starts it.
    pub runtime: ProgramRuntime,
    /// The file that is started, below the content's folder.
    pub program: String,
    /// Number of its files.
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// An installed program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledProgram {
    /// What is written beside it.
    pub manifest: ProgramManifest,
    /// Names its content.
    pub digest: String,
    /// Where its packages lie. This is what a sandbox is shown.
    pub content: PathBuf,
}

impl InstalledProgram {
    /// The file that is started.
    pub fn program_path(&self) -> PathBuf {
        self.content.join(&self.manifest.program)
    }

    /// What is wrong with its files, looked at by number and size.
    pub fn find_damage(&self) -> Option<String> {
        if !stays_below(Path::new(&self.manifest.program)) {
            return Some("its description names a file elsewhere".to_owned());
        }
        let (mut files, mut bytes) = (0, 0);
        match count_files(&self.content, &mut files, &mut bytes) {
            Err(error) => Some(format!("its files cannot be read: {error}")),
            Ok(()) if (files, bytes) != (self.manifest.files, self.manifest.bytes) => {
                Some(format!(
                    "it should have {} files with {} bytes and has {files} with {bytes}",
                    self.manifest.files, self.manifest.bytes
                ))
            }
            Ok(()) if !self.program_path().is_file() => {
                Some(format!("`{}` is missing", self.manifest.program))
            }
            Ok(()) => None,
        }
    }
}

fn count_files(folder: &Path, files: &mut u64, bytes: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_dir() {
            count_files(&entry.path(), files, bytes)?;
        } else {
            *files += 1;
            *bytes += found.len();
        }
    }
    Ok(())
}

impl AgentFolder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn folder_path(&self) -> &Path {
        &self.path
    }

    /// The program of that digest, if it is installed.
    ///
    /// # Errors
    /// [`AgentProgramError::File`] where it cannot be read.
    pub fn find_digest(&self, digest: &str) -> Result<Option<InstalledProgram>, AgentProgramError> {
        let folder = self.path.join(digest);
        let path = folder.join(MANIFEST);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(AgentProgramError::file_error("read", &path))?,
        };
        let manifest = serde_json::from_slice(&text).map_err(|error| {
            AgentProgramError::file_error("read", &path)(io::Error::other(error))
        })?;
        Ok(Some(InstalledProgram {
            manifest,
            digest: digest.to_owned(),
            content: folder.join(CONTENT),
        }))
    }

    /// The pinned version of a program, if it is installed.
    ///
    /// # Errors
    /// [`AgentProgramError::File`] where it cannot be read.
    pub fn find_build(
        &self,
        build: ChosenBuild<'_>,
    ) -> Result<Option<InstalledProgram>, AgentProgramError> {
        self.find_digest(&build.content_digest())
    }

    /// Every installed program, those of other versions too, by name.
    ///
    /// # Errors
    /// [`AgentProgramError::File`] where one cannot be read.
    pub fn list(&self) -> Result<Vec<InstalledProgram>, AgentProgramError> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(AgentProgramError::file_error("read", &self.path))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(AgentProgramError::file_error("read", &self.path))?;
            let name = entry.file_name();
            let digest = name.to_str().filter(|name| !name.starts_with('.'));
            if let Some(digest) = digest {
                found.extend(self.find_digest(digest)?);
            }
        }
        found.sort_by(|a, b| {
            let key = |of: &InstalledProgram| (of.manifest.name.clone(), of.digest.clone());
            key(a).cmp(&key(b))
        });
        Ok(found)
    }

    /// Removes every version of a program.
    ///
    /// # Errors
    /// [`AgentProgramError::NotInstalled`]; [`AgentProgramError::File`] where it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<Vec<InstalledProgram>, AgentProgramError> {
        let is_named =
            |of: &InstalledProgram| of.manifest.name == name || of.manifest.agent == name;
        let missing = || AgentProgramError::NotInstalled {
            name: name.to_owned(),
            folder: self.path.clone(),
        };
        if !self.path.exists() {
            return Err(missing());
        }
        // Listed under the lock: an installation that ends meanwhile is removed as well.
        let _lock = self.lock()?;
        let mut named = self.list()?;
        named.retain(is_named);
        if named.is_empty() {
            return Err(missing());
        }
        for program in &named {
            self.remove_digest(&program.digest)?;
        }
        Ok(named)
    }

    /// Takes a program out of sight at once, then removes its files.
    pub(crate) fn remove_digest(&self, digest: &str) -> Result<(), AgentProgramError> {
        let (folder, leaving) = (self.path.join(digest), self.unfinished(digest));
        clear_folder(&leaving)?;
        match fs::rename(&folder, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(AgentProgramError::file_error("remove", &folder))?,
        }
        clear_folder(&leaving)
    }

    /// Makes the folder and waits until no other process installs or removes.
    pub(crate) fn lock(&self) -> Result<fs::File, AgentProgramError> {
        fs::create_dir_all(&self.path)
            .map_err(AgentProgramError::file_error("create", &self.path))?;
        let path = self.path.join(LOCK);
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(AgentProgramError::file_error("open", &path))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| AgentProgramError::file_error("lock", &path)(error.into()))?;
        Ok(file)
    }

    fn unfinished(&self, digest: &str) -> PathBuf {
        self.path.join(format!("{UNFINISHED}{digest}"))
    }

    /// An empty folder for an installation, for whoever holds the lock. What killed processes left is gone.
    pub(crate) fn begin(&self, digest: &str) -> Result<UnfinishedProgram, AgentProgramError> {
        let entries =
            fs::read_dir(&self.path).map_err(AgentProgramError::file_error("read", &self.path))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                clear_folder(&entry.path())?;
            }
        }
        let folder = self.unfinished(digest);
        fs::create_dir(&folder).map_err(AgentProgramError::file_error("create", &folder))?;
        Ok(UnfinishedProgram {
            finished: self.path.join(digest),
            folder,
        })
    }

    /// Bytes that can still be written there.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

fn clear_folder(folder: &Path) -> Result<(), AgentProgramError> {
    match remove_closed(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(AgentProgramError::file_error("remove", folder)),
    }
}

/// A program on its way; dropping it removes what is there.
pub(crate) struct UnfinishedProgram {
    folder: PathBuf,
    finished: PathBuf,
}

impl UnfinishedProgram {
    /// Where a download goes.
    pub(crate) fn download_path(&self) -> PathBuf {
        self.folder.join("download")
    }

    /// Where its packages are unpacked.
    pub(crate) fn content_folder(&self) -> PathBuf {
        self.folder.join(CONTENT)
    }

    /// Makes it read-only and puts it in its place, in one step for everybody else.
    pub(crate) fn finish(self, manifest: &ProgramManifest) -> Result<(), AgentProgramError> {
        let path = self.folder.join(MANIFEST);
        let text = serde_json::to_vec_pretty(manifest).map_err(AgentProgramError::List)?;
        fs::remove_file(self.download_path())
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .map_err(AgentProgramError::file_error(
                "remove",
                self.download_path(),
            ))?;
        fs::File::create(&path)
            .and_then(|mut file| {
                io::Write::write_all(&mut file, &text)?;
                file.sync_all()
            })
            .map_err(AgentProgramError::file_error("write", &path))?;
        // The folders keep their parent, so that nobody needs the right to write them.
        close_folders(&self.folder)
            .and_then(|()| fs::rename(&self.folder, &self.finished))
            .map_err(AgentProgramError::file_error("finish", &self.finished))
    }
}

impl Drop for UnfinishedProgram {
    fn drop(&mut self) {
        // Gone already where it was finished; what cannot be removed is removed by the next installation.
        let _ = remove_closed(&self.folder);
    }
}
