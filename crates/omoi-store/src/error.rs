//! What can go wrong between us and the database.

use std::error::Error;

use omoi_domain::machine::InvalidTransition;

/// A failed database operation, as callers see it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No row with that identity in this organisation.
    #[error("no {what} `{key}`")]
    NotFound {
        /// The kind of row.
        what: &'static str,
        /// What was looked for.
        key: String,
    },
    /// Somebody else changed the row first.
    #[error("{what} `{key}` was changed by someone else")]
    Conflict {
        /// The kind of row.
        what: &'static str,
        /// Its identity.
        key: String,
    },
    /// The row already exists.
    #[error("{what} already exists")]
    Exists {
        /// The kind of row.
        what: &'static str,
    },
    /// The state machine has no such move.
    #[error("refused")]
    Transition(#[from] InvalidTransition),
    /// A newer attempt holds the subject.
    #[error("attempt has fence {given}, the current one is {current}")]
    Superseded {
        /// The reporter's fence.
        given: i64,
        /// The row's fence.
        current: i64,
    },
    /// A stored value does not read as what it should be.
    #[error("column `{column}` holds `{value}`, which is not a valid {expected}")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// An event kind was given a payload of another type.
    #[error("event `{kind}` does not carry that payload")]
    Payload {
        /// The event's wire name.
        kind: &'static str,
    },
    /// A value could not be written as JSON.
    #[error("could not encode a value as JSON")]
    Encode(#[source] serde_json::Error),
    /// The database is locked, restarting or overloaded; try again.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// The first connection failed: an absent server, a wrong address, a refused password.
    #[error("the database at `{at}` cannot be reached")]
    Unreachable {
        /// The server or the file, without credentials.
        at: String,
        /// What was said about it.
        #[source]
        source: sqlx::Error,
    },
    /// The disk is full, or does not take what is written. Nothing of the transaction was.
    #[error("the disk of the database is full or takes no writes")]
    NoSpace(#[source] sqlx::Error),
    /// The file is no database, or what is in it cannot be read.
    #[error("{at} is damaged, or is no database")]
    Damaged {
        /// Which file.
        at: String,
        /// What was said about it.
        #[source]
        source: sqlx::Error,
    },
    /// The schema is that of another program version.
    #[error(
        "the database was written by another version of omoi: migration {version} is unknown to this one"
    )]
    OtherVersion {
        /// The migration that this program does not have as it stands there.
        version: i64,
    },
    /// The commits that rows name lie in another data folder.
    #[error("the database belongs to the data folder `{named}`, not to `{here}`")]
    OtherFolder {
        /// The folder of this process.
        here: String,
        /// The folder the database names.
        named: String,
    },
    /// Other transactions took the slots that this one was to take; nothing was written.
    #[error("no slot is free any more")]
    SlotsTaken,
    /// An earlier request with the same key did this, or another one took the place of this; nothing was written.
    #[error("a request with the same key did this, or is about to")]
    RequestDone,
    /// Another process acts for the data folder now; nothing was written.
    #[error("another process has taken over the data folder")]
    TakenOver,
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// The database's user may not do what a migration asks for.
    #[error("the database's user may not apply migration {version}")]
    NoRight {
        /// The migration.
        version: i64,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// Row security would bind nobody.
    #[error(
        "the role `{role}`, which is or holds `omoi_app`, {why}: it would see the rows of every organisation"
    )]
    RoleMayBypass {
        /// The role.
        role: String,
        /// What lets it.
        why: String,
    },
    /// The address names no supported database.
    #[error("`{url}` is neither a sqlite:// nor a postgres:// address")]
    Url {
        /// The address, without its password.
        url: String,
    },
    /// Anything else the database said.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(db) = &error {
            match db.code().as_deref() {
                // SQLITE_FULL; the writing kinds of SQLITE_IOERR; PostgreSQL disk full.
                Some("13" | "778" | "1034" | "1290" | "1546" | "4618" | "4874" | "53100") => {
                    return Self::NoSpace(error);
                }
                // SQLITE_CORRUPT, SQLITE_NOTADB; PostgreSQL data corrupted, index corrupted.
                Some("11" | "267" | "523" | "779" | "26" | "XX001" | "XX002") => {
                    let at = "the database".to_owned();
                    return Self::Damaged { at, source: error };
                }
                _ => {}
            }
        }
        let busy = match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => true,
            sqlx::Error::Database(db) => {
                // SQLITE_BUSY and SQLITE_LOCKED; PostgreSQL serialization failure, deadlock,
                // lock not available, shutting down.
                matches!(
                    db.code().as_deref(),
                    Some(
                        "5" | "6" | "517" | "261" | "40001" | "40P01" | "55P03" | "57P01" | "57P03"
                    )
                )
            }
            _ => false,
        };
        if busy {
            Self::Busy(error)
        } else {
            Self::Database(error)
        }
    }
}

impl StoreError {
    /// Whether the same call may succeed a moment later.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Conflict { .. } | Self::NoSpace(_) | Self::SlotsTaken
        )
    }

    /// Whether what was asked about a row is at fault: another row might have succeeded. Everything else is
    /// the database's own, and says nothing of what was asked.
    pub const fn is_of_row(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Exists { .. }
            | Self::Transition(_)
            | Self::Superseded { .. }
            | Self::Corrupt { .. }
            | Self::Payload { .. }
            | Self::Encode(_) => true,
            Self::Busy(_)
            | Self::Unreachable { .. }
            | Self::NoSpace(_)
            | Self::Damaged { .. }
            | Self::OtherVersion { .. }
            | Self::OtherFolder { .. }
            | Self::SlotsTaken
            | Self::RequestDone
            | Self::TakenOver
            | Self::Migrate(_)
            | Self::NoRight { .. }
            | Self::RoleMayBypass { .. }
            | Self::Url { .. }
            | Self::Database(_) => false,
        }
    }

    /// Whether `error`, or a cause of it, says that somebody else was first or that the database is
    /// away for the moment: nothing that is wrong with what was asked.
    pub fn is_passing(error: &(dyn Error + 'static)) -> bool {
        let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
        causes.any(|cause| match cause.downcast_ref::<Self>() {
            Some(
                Self::Exists { .. }
                | Self::Superseded { .. }
                | Self::Unreachable { .. }
                | Self::TakenOver,
            ) => true,
            Some(store) => store.is_retryable(),
            None => false,
        })
    }

    /// Turns a unique violation into [`StoreError::Exists`].
    pub(crate) fn or_exists(self, what: &'static str) -> Self {
        match self {
            Self::Database(sqlx::Error::Database(db)) if db.is_unique_violation() => {
                Self::Exists { what }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    /// What SQLite says of `sql` where a database may have `pages` pages.
    async fn refusal(pages: u32, sql: &'static str) -> StoreError {
        let limit = format!("pragma max_page_count = {pages}");
        let run = async {
            let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(limit))
                .execute(&mut conn)
                .await?;
            sqlx::raw_sql(sql).execute(&mut conn).await
        };
        run.await.map(drop).map_err(StoreError::from).unwrap_err()
    }

    #[tokio::test]
    async fn a_full_disk_is_told_as_one_and_passes() {
        let full = refusal(
            4,
            "create table t (x blob); insert into t values (zeroblob(1000000))",
        )
        .await;
        assert!(matches!(full, StoreError::NoSpace(_)), "{full:?}");
        assert!(StoreError::is_passing(&full) && full.is_retryable());
        assert_eq!(
            full.to_string(),
            "the disk of the database is full or takes no writes"
        );
        let wrong = refusal(100, "create nonsense").await;
        assert!(matches!(wrong, StoreError::Database(_)), "{wrong:?}");
        assert!(!StoreError::is_passing(&wrong));
        assert!(!full.is_of_row() && !wrong.is_of_row());
        assert!(StoreError::Exists { what: "task" }.is_of_row());
    }
}
