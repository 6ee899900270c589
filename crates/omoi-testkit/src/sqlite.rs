//! SQLite databases for tests.

use sqlx::Connection as _;

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
