//! SQLite databases for tests.

use crate::database::TestDatabase;

/// Where a file costs no disk. What a power cut leaves is no test's question.
const MEMORY: &str = "/dev/shm";

/// A database file of its own, which does not exist yet.
///
/// # Panics
/// When the temporary folder cannot be written.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn database() -> TestDatabase {
    let folder = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir());
    let folder = folder.expect("could not create a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("omoi.db").display());
    TestDatabase::new(url, folder)
}
