//! Bringing a schema up to date: one migration after the other, each in a transaction of its own.

use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use omoi_domain::crash::{CrashPoint, CrashSide, pass_point};

use super::{Backend, migrations, name_keys};

/// Where applied migrations are noted.
const NOTED: &str = "_sqlx_migrations";
/// How long a process waits for another one that migrates the same file.
const FILE_PATIENCE: Duration = Duration::from_mins(5);
/// How long a migration waits for a table that others use: whoever comes after it waits as long.
const TABLE_PATIENCE: &str = "set lock_timeout = '2s'";

/// Migrates a file; gives how many migrations were applied.
///
/// A table that others refer to can be made anew only while foreign keys are off, which no transaction can
/// switch: the connection is one of its own. That every reference holds is asked before each commit.
pub(super) async fn migrate_file(options: &SqliteConnectOptions) -> Result<usize, MigrateError> {
    let options = options
        .clone()
        .foreign_keys(false)
        .busy_timeout(FILE_PATIENCE)
        .synchronous(SqliteSynchronous::Full);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    conn.ensure_migrations_table(NOTED).await?;
    let mut n_applied = 0;
    while next_migration(&mut conn, Backend::Sqlite).await?.is_some() {
        // Another process may be as far, and waits here.
        let mut tx = conn.begin_with("begin immediate").await?;
        let Some(next) = next_migration(&mut *tx, Backend::Sqlite).await? else {
            break;
        };
        if next.version == migrations::PROJECT_NAME_KEYS {
            let written = name_keys::write_file_keys(&mut tx).await;
            written.map_err(|error| MigrateError::ExecuteMigration(error, next.version))?;
        }
        tx.apply(NOTED, next).await?;
        refuse_broken_references(&mut tx, next.version).await?;
        pass_point(CrashPoint::Migrate, CrashSide::Before);
        tx.commit().await?;
        pass_point(CrashPoint::Migrate, CrashSide::After);
        n_applied += 1;
    }
    conn.close().await?;
    Ok(n_applied)
}

/// Migrates a server's database; gives how many migrations were applied.
pub(super) async fn migrate_server(options: &PgConnectOptions) -> Result<usize, MigrateError> {
    let mut conn = PgConnection::connect_with(options).await?;
    // The next process waits here until this one is done, and finds nothing to do.
    conn.lock().await?;
    sqlx::raw_sql(TABLE_PATIENCE).execute(&mut conn).await?;
    conn.ensure_migrations_table(NOTED).await?;
    let mut n_applied = 0;
    while let Some(next) = next_migration(&mut conn, Backend::Postgres).await? {
        pass_point(CrashPoint::Migrate, CrashSide::Before);
        // Who dies in here comes here again: the migration is noted last.
        if next.version == migrations::PROJECT_NAME_KEYS {
            let written = name_keys::write_server_keys(&mut conn).await;
            written.map_err(|error| MigrateError::ExecuteMigration(error, next.version))?;
        }
        conn.apply(NOTED, next).await?;
        pass_point(CrashPoint::Migrate, CrashSide::After);
        n_applied += 1;
    }
    conn.unlock().await?;
    conn.close().await?;
    Ok(n_applied)
}

/// The first migration that does not stand in the database; none where all do.
async fn next_migration<C: Migrate>(
    conn: &mut C,
    backend: Backend,
) -> Result<Option<&'static Migration>, MigrateError> {
    if let Some(version) = conn.dirty_version(NOTED).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = conn.list_applied_migrations(NOTED).await?;
    let known = migrations::migrator(backend);
    for noted in &applied {
        refuse_unknown(known, noted)?;
    }
    let is_applied = |m: &Migration| applied.iter().any(|noted| noted.version == m.version);
    Ok(known.iter().find(|migration| !is_applied(migration)))
}

/// Refuses what another version of the program has applied.
fn refuse_unknown(known: &Migrator, noted: &AppliedMigration) -> Result<(), MigrateError> {
    let ours = known.iter().find(|m| m.version == noted.version);
    match ours {
        None => Err(MigrateError::VersionMissing(noted.version)),
        Some(ours) if ours.checksum != noted.checksum => {
            Err(MigrateError::VersionMismatch(noted.version))
        }
        Some(_) => Ok(()),
    }
}

async fn refuse_broken_references(
    conn: &mut SqliteConnection,
    version: i64,
) -> Result<(), MigrateError> {
    const BROKEN: &str = "select \"table\" || ' to ' || \"parent\" from pragma_foreign_key_check";
    let broken: Vec<String> = sqlx::query_scalar(BROKEN).fetch_all(conn).await?;
    let Some(first) = broken.first() else {
        return Ok(());
    };
    let n_broken = broken.len();
    let told = format!("it breaks {n_broken} references, the first of them from {first}");
    let error = sqlx::Error::Protocol(told);
    Err(MigrateError::ExecuteMigration(error, version))
}
