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
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
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
        matches!(self, Self::Busy(_) | Self::Conflict { .. })
    }

    /// Whether `error`, or a cause of it, says that somebody else was first or that the database is
    /// away for the moment: nothing that is wrong with what was asked.
    pub fn is_passing(error: &(dyn Error + 'static)) -> bool {
        let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
        causes.any(|cause| match cause.downcast_ref::<Self>() {
            Some(Self::Exists { .. } | Self::Superseded { .. } | Self::Unreachable { .. }) => true,
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
