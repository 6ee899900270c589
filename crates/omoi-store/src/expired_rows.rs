//! Rows of no organisation whose time is over. Source of what is kept how long: 07-data-model §11.

use std::time::Duration;

use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Args;
use crate::error::StoreError;
use crate::tx::Tx;

/// How long an ended session is shown to whoever runs the platform.
const SESSION_KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// How long counted tries are kept: longer than any window of them.
const LIMIT_KEPT_FOR: Duration = Duration::from_hours(24);

omoi_domain::closed_set! {
    /// A table whose rows end.
    ExpiringTable {
        /// Tokens that are good once.
        OneTimeTokens = "one_time_tokens",
        /// Sign-ins.
        Sessions = "sessions",
        /// Counted tries; those of a locked account wait for its owner.
        SignInLimits = "sign_in_limits",
        /// Requests that their senders named, with their answers.
        RequestKeys = "request_keys",
        /// Mails.
        MailIntents = "mail_intents",
    }
}

impl ExpiringTable {
    /// Whether there is a row to remove, and the statement that removes some.
    const fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::OneTimeTokens => (
                "select digest as value from one_time_tokens where expires_at <= $1 limit $2",
                "delete from one_time_tokens where digest in
                     (select digest from one_time_tokens where expires_at <= $1 order by expires_at limit $2)",
            ),
            Self::Sessions => (
                "select key_name as value from sessions where expires_at <= $1 limit $2",
                "delete from sessions where id in
                     (select id from sessions where expires_at <= $1 order by expires_at limit $2)",
            ),
            Self::SignInLimits => (
                "select scope as value from sign_in_limits where window_start_at <= $1 and scope <> 'sign_in_account' limit $2",
                "delete from sign_in_limits where window_start_at <= $1 and scope <> 'sign_in_account' and key_digest in
                     (select key_digest from sign_in_limits where window_start_at <= $1 and scope <> 'sign_in_account'
                      order by window_start_at limit $2)",
            ),
            Self::RequestKeys => (
                "select state as value from request_keys where expires_at <= $1 limit $2",
                "delete from request_keys where id in
                     (select id from request_keys where expires_at <= $1 order by expires_at limit $2)",
            ),
            Self::MailIntents => (
                "select kind as value from mail_intents where expires_at <= $1 limit $2",
                "delete from mail_intents where id in
                     (select id from mail_intents where expires_at <= $1 order by expires_at limit $2)",
            ),
        }
    }

    /// Rows that ended by then are removed.
    fn ended_by(self, now: Timestamp) -> Timestamp {
        let kept_for = match self {
            Self::Sessions => SESSION_KEPT_FOR,
            Self::SignInLimits => LIMIT_KEPT_FOR,
            Self::OneTimeTokens | Self::RequestKeys | Self::MailIntents => Duration::ZERO,
        };
        now - kept_for
    }
}

/// Whether a row of `table` is over.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_expired(tx: &mut Tx, table: ExpiringTable) -> Result<bool, StoreError> {
    let args = args_of(tx, table, 1)?;
    let found: Vec<String> = tx.scalars(table.statements().0, args).await?;
    Ok(!found.is_empty())
}

/// Removes rows of `table` that are over, `limit` at most; how many.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_expired(
    tx: &mut Tx,
    table: ExpiringTable,
    limit: i64,
) -> Result<u64, StoreError> {
    let args = args_of(tx, table, limit)?;
    tx.execute_global(table.statements().1, args).await
}

fn args_of(tx: &Tx, table: ExpiringTable, limit: i64) -> Result<Args, StoreError> {
    let ended_by = table.ended_by(tx.now());
    Ok(args![ended_by, limit])
}
