//! Mails that are to go out. An act writes its mail in its own transaction; whoever sends it claims it first.

use omoi_domain::access::mail_intent::{MailKind, MailState};
use omoi_domain::id::{InvitationId, MailIntentId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A mail that is to go out, or went.
    MailIntent in "mail_intents" as "mail" {
        /// Its id, the same at every try.
        id: MailIntentId,
        /// What it is about.
        kind: MailKind,
        /// To whom, in the one form of an address.
        email: String,
        /// Whose account it is about.
        user_id: Option<UserId>,
        /// The invitation that it carries.
        invitation_id: Option<InvitationId>,
        /// How far it is.
        state: MailState,
        /// How often it was handed over.
        tries: u32,
        /// When it is tried; of one that is being handed over, when somebody else does.
        next_at: Timestamp,
        /// When the act was done that it follows from.
        created_at: Timestamp,
        /// Until when the row is kept.
        expires_at: Timestamp,
        /// Why the last try failed.
        error: Option<String>,
    }
}

impl GlobalRow for MailIntent {}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOutcome {
    /// How far the mail is.
    pub state: MailState,
    /// When it is tried again, where it is.
    pub next_at: Timestamp,
    /// Why it failed.
    pub error: Option<String>,
}

/// Keeps a mail that is to go out.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, intent: &MailIntent) -> Result<(), StoreError> {
    tx.insert(intent).await
}

/// Mails that can be tried now, the ones that wait longest first; `limit` at most.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_due(tx: &mut Tx, limit: i64) -> Result<Vec<MailIntent>, StoreError> {
    let now = tx.now();
    let tail = "state in ('planned', 'sent') and next_at <= $1 order by next_at, id limit $2";
    tx.all_global(tail, args![now, limit]).await
}

/// When the next mail can be tried.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let tail = "state in ('planned', 'sent') order by next_at limit 1";
    let next: Option<MailIntent> = tx.find_global(tail, args![]).await?;
    Ok(next.map(|intent| intent.next_at))
}

/// Takes a mail that was read as `intent` for one try, which others leave alone until `lease_until`; whether nobody
/// took it meanwhile.
///
/// # Errors
/// When the database cannot be written.
pub async fn claim(
    tx: &mut Tx,
    intent: &MailIntent,
    lease_until: Timestamp,
) -> Result<bool, StoreError> {
    let n_rows = tx
        .execute_global(
            "update mail_intents set state = 'sent', tries = tries + 1, next_at = $4
             where id = $1 and state = $2 and tries = $3",
            args![intent.id, intent.state, intent.tries, lease_until],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Notes how try number `tries` ended, unless another one began meanwhile.
///
/// # Errors
/// When the database cannot be written.
pub async fn save_outcome(
    tx: &mut Tx,
    id: MailIntentId,
    tries: u32,
    outcome: &MailOutcome,
) -> Result<(), StoreError> {
    tx.execute_global(
        "update mail_intents set state = $3, next_at = $4, error = $5
         where id = $1 and tries = $2 and state = 'sent'",
        args![id, tries, outcome.state, outcome.next_at, outcome.error],
    )
    .await
    .map(drop)
}

/// Whether a mail of that kind to `user` was written since `since` and has not failed.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_under_way(
    tx: &mut Tx,
    user: UserId,
    kind: MailKind,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let tail = "user_id = $1 and kind = $2 and created_at > $3
         and state in ('planned', 'sent', 'confirmed') limit 1";
    let found: Option<MailIntent> = tx.find_global(tail, args![user, kind, since]).await?;
    Ok(found.is_some())
}

/// Forgets what was to be sent to `user`.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from mail_intents where user_id = $1";
    tx.execute_global(sql, args![user]).await.map(drop)
}
