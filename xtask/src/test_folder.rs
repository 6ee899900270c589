//! A folder that all tests of a run share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::temporary_folder;

/// The variable that tells tests the folder.
pub const VARIABLE: &str = "OMOI_TEST_FOLDER";

/// Where files cost no disk.
const MEMORY: &str = "/dev/shm";

/// The folder of one run; dropping it removes it.
#[derive(Debug)]
pub struct TestFolder(PathBuf);

impl TestFolder {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create() -> io::Result<Self> {
        let name = format!("omoios-tests-{}", std::process::id());
        let in_memory = Path::new(MEMORY).join(&name);
        if fs::create_dir(&in_memory).is_ok() {
            return Ok(Self(in_memory));
        }
        let on_disk = temporary_folder().join(name);
        fs::create_dir(&on_disk)?;
        Ok(Self(on_disk))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
