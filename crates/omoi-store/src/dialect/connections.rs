//! Pools and transactions of either database behind one face.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Database, PgConnection, SqlSafeStr, SqliteConnection,
    Transaction,
};
use tokio::time::timeout;

use omoi_domain::id::OrgId;

use super::log_sync::{LogSync, RequestedSync};
use super::values::{ColumnValue, DatabaseRow, postgres_arguments, sqlite_arguments};
use super::{Backend, app_role, migration_run, migrations, place};
use crate::error::StoreError;
use crate::options::ServerOptions;

/// Connections that read a file at the same time. One writes.
const SQLITE_READERS: u32 = 4;

/// How long a connection to a server may lie idle before it is tried. To try each would cost every
/// transaction an answer of the server.
const IDLE_UNTRIED: Duration = Duration::from_secs(1);
/// Statements that a connection to a server keeps prepared: all there are, with those for so many rows.
const STATEMENTS_KEPT: usize = 400;

/// The pools of one database.
pub(crate) enum DatabasePools {
    /// SQLite lets in one writer at a time, so that readers have a pool of their own.
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        /// Syncs what is committed, where commits do not do so themselves.
        log: Option<LogSync>,
        /// How a connection is made.
        options: SqliteConnectOptions,
    },
    /// A server.
    Postgres {
        pool: PgPool,
        /// How a connection is made that may change the schema.
        options: PgConnectOptions,
    },
}

impl DatabasePools {
    /// Connects once, so that a wrong address or an absent server is told as what it is.
    pub(crate) async fn open(url: &str, server: ServerOptions) -> Result<Self, StoreError> {
        match Backend::of(url)? {
            Backend::Sqlite => open_file(&with_mode(url), server).await,
            Backend::Postgres => open_server(url, server).await,
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Sqlite { .. } => Backend::Sqlite,
            Self::Postgres { .. } => Backend::Postgres,
        }
    }

    pub(crate) fn migrator(&self) -> &'static Migrator {
        migrations::migrator(self.backend())
    }

    /// Brings the schema up to date; gives how many migrations were applied.
    pub(crate) async fn migrate(&self) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite { options, .. } => {
                let migrated = migration_run::migrate_file(options).await;
                migrated.map_err(migration_refusal)
            }
            Self::Postgres { options, .. } => {
                let migrated = migration_run::migrate_server(options).await;
                let n_applied = migrated.map_err(migration_refusal)?;
                app_role::expect_bound(options).await?;
                Ok(n_applied)
            }
        }
    }

    /// The versions of the migrations that stand in the database.
    pub(crate) async fn applied(&self) -> Result<Vec<i64>, sqlx::Error> {
        const APPLIED: &str = "select version from _sqlx_migrations where success order by version";
        // The table does not exist before the first migration.
        let tables = self.backend().has_migrations();
        match self {
            Self::Sqlite { read, .. } => {
                let tables: i64 = sqlx::query_scalar(tables).fetch_one(read).await?;
                match tables {
                    0 => Ok(Vec::new()),
                    _ => sqlx::query_scalar(APPLIED).fetch_all(read).await,
                }
            }
            Self::Postgres { options, .. } => {
                let mut conn = PgConnection::connect_with(options).await?;
                let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut conn).await?;
                let applied = match tables {
                    0 => Vec::new(),
                    _ => sqlx::query_scalar(APPLIED).fetch_all(&mut conn).await?,
                };
                conn.close().await?;
                Ok(applied)
            }
        }
    }

    /// Begins a transaction that reads rows of `org`, or of none where that is the nil id.
    pub(crate) fn begin_read(
        &self,
        org: OrgId,
    ) -> BoxFuture<'_, Result<DatabaseTransaction, sqlx::Error>> {
        let begin = async move {
            Ok(match self {
                Self::Sqlite { read, .. } => DatabaseTransaction::Sqlite(read.begin().await?, None),
                Self::Postgres { pool, .. } => begin_on_server(pool, org).await?,
            })
        };
        begin.boxed()
    }

    /// Begins a transaction that reads and writes rows of `org`, or of none where that is the nil id.
    pub(crate) fn begin_write(
        &self,
        org: OrgId,
    ) -> BoxFuture<'_, Result<DatabaseTransaction, sqlx::Error>> {
        let begin = async move {
            Ok(match self {
                // One that began as a reader could not wait for another writer any more.
                Self::Sqlite { write, log, .. } => {
                    let tx = write.begin_with("begin immediate").await?;
                    DatabaseTransaction::Sqlite(tx, log.clone())
                }
                Self::Postgres { pool, .. } => begin_on_server(pool, org).await?,
            })
        };
        begin.boxed()
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

/// A transaction on a connection of its own.
pub(crate) enum DatabaseTransaction {
    Sqlite(Transaction<'static, Sqlite>, Option<LogSync>),
    Postgres(Transaction<'static, Postgres>),
}

/// Each future is boxed: they are awaited in every handler and command, and for each of those the compiler would prove
/// anew, through all of the driver, that it may go on in another thread. That took most of the time of building the server.
impl DatabaseTransaction {
    pub(crate) fn fetch_all<'a>(
        &'a mut self,
        sql: impl SqlSafeStr + Send + 'a,
        values: Vec<ColumnValue>,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, sqlx::Error>> {
        let fetch = async move {
            match self {
                Self::Sqlite(tx, _) => {
                    let query = sqlx::query_with(sql, sqlite_arguments(values)?);
                    let rows = query.fetch_all(&mut **tx).await?;
                    Ok(rows.into_iter().map(DatabaseRow::Sqlite).collect())
                }
                Self::Postgres(tx) => {
                    let query = sqlx::query_with(sql, postgres_arguments(values)?);
                    let rows = query.fetch_all(&mut **tx).await?;
                    Ok(rows.into_iter().map(DatabaseRow::Postgres).collect())
                }
            }
        };
        fetch.boxed()
    }

    /// Gives what `read` makes of each row.
    ///
    /// A row is read as soon as it comes: SQLite looks for the next one on a thread of its own, and the
    /// values of rows that wait would all be held at once.
    pub(crate) fn fetch_each<'a, T: Send + 'a>(
        &'a mut self,
        sql: impl SqlSafeStr + Send + 'a,
        values: Vec<ColumnValue>,
        read: impl Fn(&DatabaseRow) -> Result<T, StoreError> + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Vec<T>, StoreError>> {
        let fetch = async move {
            let mut found = Vec::new();
            match self {
                Self::Sqlite(tx, _) => {
                    let query = sqlx::query_with(sql, sqlite_arguments(values)?);
                    let mut rows = query.fetch(&mut **tx);
                    while let Some(row) = rows.try_next().await? {
                        found.push(read(&DatabaseRow::Sqlite(row))?);
                    }
                }
                Self::Postgres(tx) => {
                    let query = sqlx::query_with(sql, postgres_arguments(values)?);
                    let mut rows = query.fetch(&mut **tx);
                    while let Some(row) = rows.try_next().await? {
                        found.push(read(&DatabaseRow::Postgres(row))?);
                    }
                }
            }
            Ok(found)
        };
        fetch.boxed()
    }

    /// Returns the number of rows it touched.
    pub(crate) fn execute<'a>(
        &'a mut self,
        sql: impl SqlSafeStr + Send + 'a,
        values: Vec<ColumnValue>,
    ) -> BoxFuture<'a, Result<u64, sqlx::Error>> {
        let execute = async move {
            match self {
                Self::Sqlite(tx, _) => {
                    let query = sqlx::query_with(sql, sqlite_arguments(values)?);
                    Ok(query.execute(&mut **tx).await?.rows_affected())
                }
                Self::Postgres(tx) => {
                    let query = sqlx::query_with(sql, postgres_arguments(values)?);
                    Ok(query.execute(&mut **tx).await?.rows_affected())
                }
            }
        };
        execute.boxed()
    }

    /// Commits; it outlives this process from then on, and a loss of power once the sync is made.
    pub(crate) fn commit(self) -> BoxFuture<'static, Result<RequestedSync, sqlx::Error>> {
        let commit = async move {
            match self {
                Self::Sqlite(tx, log) => {
                    tx.commit().await?;
                    Ok(log.map_or_else(RequestedSync::already_made, |log| log.request_sync()))
                }
                Self::Postgres(tx) => {
                    tx.commit().await?;
                    Ok(RequestedSync::already_made())
                }
            }
        };
        commit.boxed()
    }

    pub(crate) fn rollback(self) -> BoxFuture<'static, Result<(), sqlx::Error>> {
        let rollback = async move {
            match self {
                Self::Sqlite(tx, _) => tx.rollback().await,
                Self::Postgres(tx) => tx.rollback().await,
            }
        };
        rollback.boxed()
    }
}

/// Begins and names the organisation in one answer of the server.
async fn begin_on_server(pool: &PgPool, org: OrgId) -> Result<DatabaseTransaction, sqlx::Error> {
    let begin = if org.as_uuid().is_nil() {
        "begin".to_owned()
    } else {
        format!("begin; set local app.org_id = '{org}'")
    };
    let tx = pool.begin_with(AssertSqlSafe(begin)).await?;
    Ok(DatabaseTransaction::Postgres(tx))
}

/// Why a schema was not brought up to date.
fn migration_refusal(error: MigrateError) -> StoreError {
    /// PostgreSQL's `insufficient_privilege`.
    const NO_RIGHT: &str = "42501";
    match error {
        MigrateError::VersionMissing(version)
        | MigrateError::VersionMismatch(version)
        | MigrateError::VersionTooOld(_, version) => StoreError::OtherVersion { version },
        MigrateError::ExecuteMigration(sqlx::Error::Database(db), version)
            if db.code().as_deref() == Some(NO_RIGHT) =>
        {
            StoreError::NoRight {
                version,
                source: sqlx::Error::Database(db),
            }
        }
        other => StoreError::Migrate(Box::new(other)),
    }
}

/// The address of a file: one that does not exist yet is made, unless the address itself says how it is
/// to be opened.
fn with_mode(url: &str) -> String {
    if url.contains("mode=") || url.contains(":memory:") {
        return url.to_owned();
    }
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}mode=rwc")
}

/// A database file is made for its owner alone: rows hold what agents said and read.
async fn open_file(address: &str, server: ServerOptions) -> Result<DatabasePools, StoreError> {
    let unreachable = |source| StoreError::Unreachable {
        at: place(address),
        source,
    };
    let options: SqliteConnectOptions = address.parse().map_err(unreachable)?;
    make_private(address, &options).map_err(|error| unreachable(sqlx::Error::Io(error)))?;
    // A log with full sync survives a power cut; the busy time-out covers a reader's checkpoint.
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-8000");
    let looked = first_look(&options).await;
    let has_log = looked.map_err(|error| match StoreError::from(error) {
        StoreError::Damaged { source, .. } => StoreError::Damaged {
            at: format!("the file `{}`", place(address)),
            source,
        },
        StoreError::Database(source) => unreachable(source),
        other => other,
    })?;
    // Where there is a log, one sync is for all that wait for it.
    let log = has_log.then(|| LogSync::of_database(options.get_filename()));
    let log = log
        .transpose()
        .map_err(|error| unreachable(sqlx::Error::Io(error)))?;
    let options = match log {
        Some(_) => options.synchronous(SqliteSynchronous::Normal),
        None => options,
    };
    let pool = |connections| {
        without_open_transactions(SqlitePoolOptions::new())
            .max_connections(connections)
            .acquire_timeout(server.pool_timeout)
    };
    Ok(DatabasePools::Sqlite {
        write: pool(1).connect_with(options.clone()).await?,
        read: pool(SQLITE_READERS).connect_lazy_with(options.clone()),
        log,
        options,
    })
}

async fn open_server(url: &str, server: ServerOptions) -> Result<DatabasePools, StoreError> {
    let unreachable = |source| StoreError::Unreachable {
        at: place(url),
        source,
    };
    let options: PgConnectOptions = url.parse().map_err(unreachable)?;
    let options = options.statement_cache_capacity(STATEMENTS_KEPT);
    let connecting = PgConnection::connect_with(&options);
    let connected = timeout(server.connect_timeout, connecting).await;
    let connection = connected
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        .map_err(unreachable)?;
    connection.close().await.map_err(unreachable)?;
    let setup: Arc<str> = format!(
        "{}; set statement_timeout = {}; set lock_timeout = '5s';
         set idle_in_transaction_session_timeout = '30s'",
        app_role::BECOME,
        server.command_timeout.as_millis()
    )
    .into();
    let pool = PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|conn, about| {
            Box::pin(async move {
                if about.idle_for > IDLE_UNTRIED {
                    conn.ping().await?;
                }
                // As of a file, below.
                Ok(!conn.is_in_transaction())
            })
        })
        .max_connections(server.connections)
        .acquire_timeout(server.pool_timeout)
        .after_connect(move |conn, _| {
            let setup = Arc::clone(&setup);
            Box::pin(async move {
                let statements = sqlx::raw_sql(AssertSqlSafe(&*setup));
                statements.execute(&mut *conn).await.map(drop)
            })
        });
    Ok(DatabasePools::Postgres {
        // The role is made by a migration.
        pool: pool.connect_lazy_with(options.clone()),
        options,
    })
}

/// A rollback that failed, because the database had rolled back by itself when the disk was full,
/// leaves a connection that counts one transaction too many for ever.
fn without_open_transactions<DB: Database>(options: PoolOptions<DB>) -> PoolOptions<DB> {
    options.before_acquire(|conn, _| {
        let is_open = conn.is_in_transaction();
        Box::pin(async move { Ok(!is_open) })
    })
}

/// Reads the schema once: a pool would try a damaged file again until its patience ends. Gives whether the file
/// has a write-ahead log: some file systems allow none, and a database in memory needs none.
async fn first_look(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    let mut conn = SqliteConnection::connect_with(options).await?;
    let looked = sqlx::query("select count(*) from sqlite_master")
        .execute(&mut conn)
        .await;
    let journal = sqlx::query_scalar::<_, String>("pragma journal_mode")
        .fetch_one(&mut conn)
        .await;
    conn.close().await?;
    looked?;
    Ok(journal?.eq_ignore_ascii_case("wal"))
}

/// Makes the database's file with mode 0600 where there is none. SQLite gives its side files the same.
fn make_private(address: &str, options: &SqliteConnectOptions) -> io::Result<()> {
    let is_made_by_us = address.contains("mode=rwc");
    if !is_made_by_us {
        return Ok(());
    }
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(false).mode(0o600);
    file.open(options.get_filename()).map(drop)
}
