//! The only place where the two backends differ.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tokio::time::timeout;

use crate::error::StoreError;
use crate::open::Server;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file, one writer.
    Sqlite,
    /// A server.
    Postgres,
}

impl Backend {
    /// The backend of an address.
    pub fn of(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres)
        } else {
            let url = url.split('@').next_back().unwrap_or_default().to_owned();
            Err(StoreError::Url { url })
        }
    }

    /// Its name in `db status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn migrator(self) -> &'static Migrator {
        match self {
            Self::Sqlite => &SQLITE,
            Self::Postgres => &POSTGRES,
        }
    }

    /// The address to connect to. A file that does not exist yet is made, unless the address itself
    /// says how it is to be opened.
    pub(crate) fn address(self, url: &str) -> String {
        match self {
            Self::Sqlite if url.contains("mode=") || url.contains(":memory:") => url.to_owned(),
            Self::Sqlite => {
                let mark = if url.contains('?') { '&' } else { '?' };
                format!("{url}{mark}mode=rwc")
            }
            Self::Postgres => url.to_owned(),
        }
    }

    /// How a transaction that will write begins.
    pub(crate) const fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin",
        }
    }

    /// The database's clock in microseconds.
    pub(crate) const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "select cast(unixepoch('subsec') * 1000000 as integer) as now",
            Self::Postgres => {
                "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) as now"
            }
        }
    }

    /// Counts the tables that note migrations: one or none.
    pub(crate) const fn has_migrations(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'"
            }
            Self::Postgres => {
                "select count(*) from pg_class
                 where oid = to_regclass('_sqlx_migrations') and relkind = 'r'"
            }
        }
    }

    /// Appended to a query that picks rows to claim.
    pub(crate) const fn claim_suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update skip locked",
        }
    }

    /// Tries the first connection once, so that a wrong address or an absent server is told as what it is.
    ///
    /// A database file is made for its owner alone: rows hold what agents said and read.
    pub(crate) async fn reach(self, address: &str, server: Server) -> Result<(), StoreError> {
        let unreachable = |source| StoreError::Unreachable {
            at: place(address),
            source,
        };
        match self {
            Self::Sqlite => {
                make_private(address).map_err(|e| unreachable(sqlx::Error::Io(e)))?;
                first_look(address)
                    .await
                    .map_err(|error| match StoreError::from(error) {
                        StoreError::Damaged { source, .. } => StoreError::Damaged {
                            at: format!("the file `{}`", place(address)),
                            source,
                        },
                        StoreError::Database(source) => unreachable(source),
                        other => other,
                    })
            }
            Self::Postgres => {
                let connecting = AnyConnection::connect(address);
                let connected = timeout(server.connect_timeout, connecting).await;
                let connection = connected
                    .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
                    .map_err(unreachable)?;
                connection.close().await.map_err(unreachable)
            }
        }
    }

    pub(crate) fn pool_options(self, server: Server) -> AnyPoolOptions {
        // WAL with full sync survives a power cut; the busy time-out covers a reader's checkpoint.
        let (connections, setup) = match self {
            // SQLite lets in one writer at a time.
            Self::Sqlite => (
                1,
                vec![
                    "pragma journal_mode = wal".to_owned(),
                    "pragma synchronous = full".to_owned(),
                    "pragma busy_timeout = 5000".to_owned(),
                    "pragma foreign_keys = on".to_owned(),
                    "pragma temp_store = memory".to_owned(),
                    "pragma cache_size = -8000".to_owned(),
                ],
            ),
            Self::Postgres => (
                server.connections,
                vec![
                    format!(
                        "set statement_timeout = {}",
                        server.command_timeout.as_millis()
                    ),
                    "set lock_timeout = '5s'".to_owned(),
                    "set idle_in_transaction_session_timeout = '30s'".to_owned(),
                ],
            ),
        };
        let setup: Arc<[String]> = setup.into();
        AnyPoolOptions::new()
            // A rollback that failed, because the database had rolled back by itself when the disk
            // was full, leaves a connection that counts one transaction too many for ever.
            .before_acquire(|conn, _| {
                let is_open = conn.is_in_transaction();
                Box::pin(async move { Ok(!is_open) })
            })
            .max_connections(connections)
            .acquire_timeout(server.pool_timeout)
            .after_connect(move |conn, _| {
                let setup = Arc::clone(&setup);
                Box::pin(async move {
                    for statement in setup.iter() {
                        sqlx::raw_sql(AssertSqlSafe(statement.as_str()))
                            .execute(&mut *conn)
                            .await?;
                    }
                    Ok(())
                })
            })
    }
}

/// Reads the schema once: a pool would try a damaged file again until its patience ends.
async fn first_look(address: &str) -> Result<(), sqlx::Error> {
    let mut conn = AnyConnection::connect(address).await?;
    let looked = sqlx::query("select count(*) from sqlite_master")
        .execute(&mut conn)
        .await;
    conn.close().await?;
    looked.map(drop)
}

/// Makes the database's file with mode 0600 where there is none. SQLite gives its side files the same.
fn make_private(address: &str) -> io::Result<()> {
    let Ok(options) = address.parse::<SqliteConnectOptions>() else {
        // Connecting says what is wrong with it.
        return Ok(());
    };
    let is_made_by_us = address.contains("mode=rwc");
    if !is_made_by_us {
        return Ok(());
    }
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(false).mode(0o600);
    file.open(options.get_filename()).map(drop)
}

/// Where an address leads, without who asks and what is asked for: it may hold a password.
fn place(address: &str) -> String {
    let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let whole = rest.split(['?', '#']).next().unwrap_or_default();
    if address.starts_with("sqlite:") {
        return whole.to_owned();
    }
    // A password may hold a slash, written as it is by mistake; a host cannot hold an `@`.
    let host = whole.rsplit('@').next().unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let in_query = rest
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("host="));
    match (host.is_empty(), in_query) {
        (false, _) => host.to_owned(),
        (true, Some(host)) => host.to_owned(),
        (true, None) => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_has_no_password() {
        for (address, expected) in [
            (
                "postgres://me:secret@db.example:5432/omoi",
                "db.example:5432",
            ),
            ("postgres://me:sec/ret@db.example/omoi?x=y", "db.example"),
            ("postgresql:///omoi?host=/run/pg&user=me", "/run/pg"),
            ("postgres:///omoi", "localhost"),
            ("postgres://db?password=secret", "db"),
            ("sqlite:///srv/omoios.db?mode=rwc", "/srv/omoios.db"),
            ("sqlite:data.db", "data.db"),
        ] {
            assert_eq!(place(address), expected);
        }
    }
}
