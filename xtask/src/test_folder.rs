//! A folder that all tests of a run share.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::host::temporary_folder;

/// The variable that tells tests the folder.
pub const VARIABLE: &str = "OMOI_TEST_FOLDER";

/// Where files cost no disk.
const MEMORY: &str = "/dev/shm";

/// Some tests run as an ordinary user; as in `/tmp`, nobody removes what is another's.
const OPEN_TO_ALL: u32 = 0o1777;

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
        let folder = match fs::create_dir(&in_memory) {
            Ok(()) => Self(in_memory),
            Err(_) => {
                let on_disk = temporary_folder().join(name);
                fs::create_dir(&on_disk)?;
                Self(on_disk)
            }
        };
        fs::set_permissions(&folder.0, Permissions::from_mode(OPEN_TO_ALL))?;
        Ok(folder)
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
