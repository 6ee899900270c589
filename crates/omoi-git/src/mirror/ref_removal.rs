//! The lock between those who rely on refs and those who remove some: nothing is removed between a look at a ref and the row
//! that needs it.

use std::fs::{File, TryLockError};
use std::io;

use super::{Mirror, MirrorError, off_thread};

/// The lock: shared by those that rely on refs, held alone by the one that removes some.
const LOCK: &str = "omoi-refs-in-use";

/// Refs of a mirror that nobody removes while this value lives.
#[derive(Debug)]
pub struct KeptRefs {
    _lock: File,
}

/// The right to remove refs of a mirror; while this value lives nobody begins to rely on one.
#[derive(Debug)]
pub struct RefRemoval {
    _lock: File,
}

impl Mirror {
    /// Waits until nobody removes refs, and keeps them from then on.
    ///
    /// # Errors
    /// [`MirrorError::Io`].
    pub async fn keep_refs(&self) -> Result<KeptRefs, MirrorError> {
        let mirror = self.clone();
        let locked = off_thread(move || {
            let lock = mirror.open_ref_lock()?;
            lock.lock_shared()?;
            Ok(lock)
        });
        let lock = locked.await.map_err(|source| self.io_error(source))?;
        Ok(KeptRefs { _lock: lock })
    }

    /// Begins a removal of refs; none where somebody relies on them or removes some. Waits for nobody.
    ///
    /// # Errors
    /// [`MirrorError::Io`].
    pub fn begin_ref_removal(&self) -> Result<Option<RefRemoval>, MirrorError> {
        let lock = self
            .open_ref_lock()
            .map_err(|source| self.io_error(source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(RefRemoval { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.io_error(source)),
        }
    }

    fn open_ref_lock(&self) -> io::Result<File> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        options.open(self.dir.join(LOCK))
    }

    fn io_error(&self, source: io::Error) -> MirrorError {
        MirrorError::Io {
            dir: self.dir.clone(),
            source,
        }
    }
}
