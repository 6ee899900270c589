//! The only place where the two backends differ.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;

use crate::error::StoreError;

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

    /// Appended to a query that picks rows to claim.
    pub(crate) const fn claim_suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update skip locked",
        }
    }

    /// Writers SQLite lets in at once, and connections we hold to a server.
    pub(crate) const fn writers(self) -> u32 {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 10,
        }
    }

    pub(crate) fn pool_options(self) -> AnyPoolOptions {
        // WAL with full sync survives a power cut; the busy time-out covers a reader's checkpoint.
        let setup: &'static [&'static str] = match self {
            Self::Sqlite => &[
                "pragma journal_mode = wal",
                "pragma synchronous = full",
                "pragma busy_timeout = 5000",
                "pragma foreign_keys = on",
                "pragma temp_store = memory",
                "pragma cache_size = -8000",
            ],
            Self::Postgres => &[
                "set statement_timeout = '30s'",
                "set lock_timeout = '5s'",
                "set idle_in_transaction_session_timeout = '30s'",
            ],
        };
        AnyPoolOptions::new().after_connect(move |conn, _| {
            Box::pin(async move {
                for statement in setup {
                    sqlx::raw_sql(AssertSqlSafe(*statement))
                        .execute(&mut *conn)
                        .await?;
                }
                Ok(())
            })
        })
    }
}
