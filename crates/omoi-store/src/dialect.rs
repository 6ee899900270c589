//! The only place where the two backends differ.

mod app_role;
mod connections;
mod full_text;
mod log_sync;
mod migration_run;
mod migrations;
mod name_keys;
mod values;

pub(crate) use connections::{DatabasePools, DatabaseTransaction};
pub(crate) use log_sync::RequestedSync;
pub use migrations::schema_digest;
pub(crate) use values::ColumnValue;
pub use values::DatabaseRow;

use omoi_domain::time::Timestamp;

use crate::error::StoreError;

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file, one writer.
    Sqlite,
    /// A server.
    Postgres,
}

/// How the time of a database is had.
pub(crate) enum DatabaseClock {
    /// It is this now.
    Told(Timestamp),
    /// This statement asks for it.
    Asked(&'static str),
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

    /// The database's clock: that of this machine where the database is in this process, which need not be
    /// asked by a statement.
    pub(crate) fn read_clock(self) -> DatabaseClock {
        match self {
            Self::Sqlite => {
                let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
                let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
                DatabaseClock::Told(Timestamp::from_micros(micros))
            }
            Self::Postgres => DatabaseClock::Asked("select clock_timestamp() as value"),
        }
    }

    /// Counts the tables that note migrations: one or none.
    const fn has_migrations(self) -> &'static str {
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

    /// Whether one statement can change several tables: a server is asked less often then.
    pub(crate) const fn changes_many_tables(self) -> bool {
        match self {
            Self::Sqlite => false,
            Self::Postgres => true,
        }
    }

    /// Appended to a query whose rows nobody else may change until the transaction ends. A file lets in
    /// one writer at a time anyway. Rows that refer to these may come and go meanwhile.
    pub(crate) const fn lock_suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for no key update",
        }
    }

    /// Appended to a query that picks rows to claim: those that others have locked are left out.
    pub(crate) const fn claim_suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for no key update skip locked",
        }
    }
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
