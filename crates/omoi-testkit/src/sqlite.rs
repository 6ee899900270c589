//! SQLite databases for tests.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use omoi_store::dialect::schema_digest;
use sqlx::Connection as _;
use tempfile::TempDir;
use xtask::{host, test_folder};

use crate::database::TestDatabase;
use crate::migrated::make_schema;

/// Where a file costs no disk. What a power cut leaves is no test's question.
const MEMORY: &str = "/dev/shm";

const NAME: &str = "omoi.db";

/// A database file of its own with the newest schema.
///
/// # Panics
/// When the temporary folder cannot be written.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn database() -> TestDatabase {
    let folder = own_folder();
    let file = folder.path().join(NAME);
    match host::variable(test_folder::VARIABLE) {
        Some(shared) => copy_migrated(Path::new(&shared), &file),
        None => make_file(&file),
    }
    .expect("could not make a database file");
    TestDatabase::new(address_of(&file), folder)
}

/// A database file of its own, which does not exist yet.
///
/// # Panics
/// When the temporary folder cannot be written.
pub fn empty_database() -> TestDatabase {
    let folder = own_folder();
    TestDatabase::new(address_of(&folder.path().join(NAME)), folder)
}

#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
fn own_folder() -> TempDir {
    let folder = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir());
    folder.expect("could not create a temporary folder")
}

fn address_of(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// Copies the file with the newest schema that the tests of this run share; who needs it first makes it.
fn copy_migrated(shared: &Path, file: &Path) -> Result<()> {
    let name = format!("migrated_{:x}.db", schema_digest());
    let migrated = shared.join(name);
    if !migrated.exists() {
        let begun = tempfile::tempdir_in(shared)?;
        let begun = begun.path().join(NAME);
        make_file(&begun)?;
        // Tests that run as an ordinary user copy it too.
        fs::set_permissions(&begun, Permissions::from_mode(0o644))?;
        // Two that make it at once make the same.
        fs::rename(begun, &migrated)?;
    }
    fs::copy(&migrated, file)?;
    Ok(())
}

/// Makes a database file with the newest schema, on a thread of its own: a test may be inside or outside a runtime.
fn make_file(file: &Path) -> Result<()> {
    let url = address_of(file);
    let made = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(make_schema(&url))?;
        Ok(())
    });
    made.join()
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

/// Refuses every update of a row of `table` for which `condition` holds of `old`.
///
/// # Panics
/// When the trigger cannot be made.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub async fn refuse_updates(url: &str, table: &str, condition: &str) {
    let database = sqlx::SqliteConnection::connect(url).await;
    let mut database = database.expect("could not open the database");
    let trigger = format!(
        "create trigger refused before update on {table} when {condition}
         begin select raise(abort, 'injected'); end"
    );
    let made = sqlx::raw_sql(sqlx::AssertSqlSafe(trigger));
    made.execute(&mut database)
        .await
        .expect("could not make the trigger");
    database
        .close()
        .await
        .expect("could not close the database");
}
