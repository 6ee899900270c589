//! The data folder: one owner at a time, a token for everybody who may ask it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use omoi_accounts::key_ring::KeyRing;
use omoi_domain::crash::CrashPoint;
use omoi_runtime::files;
use omoi_runtime::rng::Rng;
use omoi_store::deployment::DataFolder;
use secrecy::{ExposeSecret as _, SecretString};

/// Longest path of a Unix socket on Linux, in bytes.
const SOCKET_PATH_MAX: usize = 107;
/// The file with the control token.
const TOKEN: &str = "token";
/// The file with the key that tokens are signed with.
const SIGNING_KEYS: &str = "keys";
/// The file with the key that secrets of organisations are encrypted with.
const ENCRYPTION_KEYS: &str = "encryption-keys";
/// The file with the name that the database knows the folder by.
const IDENTITY: &str = "identity";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It cannot be made, read or written.
    #[error("the data folder `{}` cannot be used", path.display())]
    Unusable {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its path is too long for the sockets in it.
    #[error("the path of the data folder `{}` is too long for a socket", path.display())]
    TooLong { path: PathBuf },
    /// Its token or its name could not be stored.
    #[error("a file of the data folder could not be stored")]
    Token(#[from] files::ReplaceError),
}

/// An opened data folder.
#[derive(Clone, Debug)]
pub(crate) struct OpenedFolder {
    path: PathBuf,
}

/// Held for as long as this process owns the folder.
#[derive(Debug)]
pub(crate) struct FolderOwnership {
    _lock: File,
}

/// Held for as long as this process answers on the folder's socket.
#[derive(Debug)]
pub(crate) struct SocketHold {
    _lock: File,
}

impl OpenedFolder {
    /// Opens the folder at `path`, making it with mode 0700 when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: path.to_path_buf(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        for below in ["mirrors", "work", "specs", "run"] {
            let dir = path.join(below);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|source| FolderError::Unusable { path: dir, source })?;
        }
        if path.as_os_str().len() + "/worker.sock".len() > SOCKET_PATH_MAX {
            return Err(FolderError::TooLong { path });
        }
        Ok(Self { path })
    }

    /// Path of the folder, without symbolic links.
    pub(crate) fn folder_path(&self) -> &Path {
        &self.path
    }

    /// The socket its owner answers on.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.path.join("omoi.sock")
    }

    /// Takes the folder; none when another process has it.
    pub(crate) fn take_ownership(&self) -> Result<Option<FolderOwnership>, FolderError> {
        let lock = self.try_lock("omoi.lock")?;
        Ok(lock.map(|lock| FolderOwnership { _lock: lock }))
    }

    /// Takes the folder's socket; none while another process answers there.
    pub(crate) fn take_socket(&self) -> Result<Option<SocketHold>, FolderError> {
        let lock = self.try_lock("socket.lock")?;
        Ok(lock.map(|lock| SocketHold { _lock: lock }))
    }

    /// The file `name`, locked until it is dropped; none when another process has it.
    fn try_lock(&self, name: &str) -> Result<Option<File>, FolderError> {
        let path = self.path.join(name);
        let unusable = |source| FolderError::Unusable {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The token of the folder, made when there is none.
    pub(crate) fn control_token(&self, rng: &Rng) -> Result<String, FolderError> {
        self.load_or_make_word(TOKEN, rng)
    }

    /// The key that tokens are signed with, made when there is none.
    pub(crate) fn signing_keys(&self, rng: &Rng) -> Result<SecretString, FolderError> {
        let draw = || KeyRing::draw_text(rng).expose_secret().to_owned();
        self.load_or_make(SIGNING_KEYS, draw)
            .map(SecretString::from)
    }

    /// The key that secrets of organisations are encrypted with, made when there is none.
    pub(crate) fn encryption_keys(&self, rng: &Rng) -> Result<SecretString, FolderError> {
        let draw = || KeyRing::draw_text(rng).expose_secret().to_owned();
        self.load_or_make(ENCRYPTION_KEYS, draw)
            .map(SecretString::from)
    }

    /// The folder as its database knows it: by a name of its own that moves with it.
    pub(crate) fn store_identity(&self, rng: &Rng) -> Result<DataFolder, FolderError> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(DataFolder {
            id: self.load_or_make_word(IDENTITY, rng)?,
            place: format!("{}:{}", host.trim(), self.path.display()),
        })
    }

    /// The random word in the file `name`, made when there is none. Of processes that start at once,
    /// one makes it.
    fn load_or_make_word(&self, name: &str, rng: &Rng) -> Result<String, FolderError> {
        self.load_or_make(name, || {
            let mut bytes = [0_u8; 32];
            rng.fill_bytes(&mut bytes);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }

    fn load_or_make(
        &self,
        name: &str,
        make: impl FnOnce() -> String,
    ) -> Result<String, FolderError> {
        let _making = self.lock_folder()?;
        if let Some(word) = self.stored_word(name)? {
            return Ok(word);
        }
        let word = make();
        let path = self.path.join(name);
        files::replace_file(CrashPoint::FileReplaced, &path, word.as_bytes(), 0o600)?;
        Ok(word)
    }

    /// Keeps other processes from making files of the folder until it is dropped.
    fn lock_folder(&self) -> Result<File, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: self.path.clone(),
            source,
        };
        let folder = File::open(&self.path).map_err(unusable)?;
        folder.lock().map_err(unusable)?;
        Ok(folder)
    }

    /// The token of the folder, if an owner has made one.
    pub(crate) fn stored_token(&self) -> Result<Option<String>, FolderError> {
        self.stored_word(TOKEN)
    }

    fn stored_word(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.path.join(name);
        let mut text = String::new();
        match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) if text.trim().is_empty() => Ok(None),
            Ok(_) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Unusable { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn one_process_answers_on_the_socket_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (
            OpenedFolder::open(dir.path()),
            OpenedFolder::open(dir.path()),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        let held = one.take_socket().unwrap();
        assert!(held.is_some() && two.take_socket().unwrap().is_none());
        drop(held);
        assert!(two.take_socket().unwrap().is_some());
    }

    #[test]
    fn who_starts_at_once_gets_the_same_token() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OpenedFolder::open(dir.path()).unwrap();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let starting = (0..8).map(|seed| {
                let folder = &folder;
                scope.spawn(move || folder.control_token(&Rng::seeded(seed)).unwrap())
            });
            let starting: Vec<_> = starting.collect();
            starting
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect()
        });
        assert_eq!(folder.stored_token().unwrap().unwrap(), tokens[0]);
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }
}
