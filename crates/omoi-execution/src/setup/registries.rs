//! The way of a set-up to package registries: a socket of its own, which only its sandbox is shown.

use std::io;
use std::path::Path;

use crate::egress::LockFile;

/// Opens ways to registries; whoever serves them is elsewhere.
pub trait OpenRegistries: Send + Sync {
    /// Serves the registries of packages on a new socket at `socket` until the returned value is dropped; versions
    /// that `lock_files` list come in at any age.
    ///
    /// # Errors
    /// When there can be no such socket.
    fn open_registries(
        &self,
        socket: &Path,
        lock_files: &[LockFile],
    ) -> io::Result<Box<dyn RegistriesInUse>>;
}

/// A way to registries that is open; it is closed when this is dropped.
pub trait RegistriesInUse: Send + Sync {
    /// The packages that came in so far.
    fn packages_in(&self) -> Vec<String>;

    /// What was refused so far, with the reason.
    fn refusals(&self) -> Vec<String>;
}
