//! Sign-ins: families of tokens that end together.

use omoi_domain::access::refresh::{REAUTH_WITHIN, SessionEnd, TokenFamily};
use omoi_domain::id::{SignInSessionId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::one_time_tokens;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A sign-in.
    SignInSession in "sessions" as "session" {
        /// Its id, which its tokens name.
        id: SignInSessionId,
        /// Who signed in.
        user_id: UserId,
        /// The key of the ring that the newest refresh token is made with.
        key_name: String,
        /// The key that the one before it was made with; none before the first refresh.
        previous_key_name: Option<String>,
        /// How many refresh tokens came before the newest.
        generation: i64,
        /// When the newest was given out.
        rotated_at: Timestamp,
        /// The address they signed in from.
        ip: String,
        /// What their program calls itself.
        user_agent: String,
        /// When it began.
        created_at: Timestamp,
        /// When it ends unless it is used.
        expires_at: Timestamp,
        /// When it ends in any case.
        absolute_expires_at: Timestamp,
        /// When the password was last given.
        signed_in_at: Timestamp,
        /// When it was ended.
        revoked_at: Option<Timestamp>,
        /// Why it was ended.
        revoke_reason: Option<SessionEnd>,
    }
}

impl GlobalRow for SignInSession {}

impl SignInSession {
    /// What the rule of refreshing asks.
    pub fn token_family(&self) -> TokenFamily {
        TokenFamily {
            generation: self.generation,
            rotated_at: self.rotated_at,
            expires_at: self.expires_at,
            absolute_expires_at: self.absolute_expires_at,
            is_revoked: self.revoked_at.is_some(),
        }
    }

    /// Whether the password was given so lately that more may be asked of the session.
    pub fn is_recently_proven(&self, now: Timestamp) -> bool {
        now.since(self.signed_in_at) < REAUTH_WITHIN
    }

    /// Whether its tokens are good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at.min(self.absolute_expires_at)
    }
}

/// Every session of `user` that is kept, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx, user: UserId) -> Result<Vec<SignInSession>, StoreError> {
    tx.all_global("user_id = $1 order by rotated_at desc, id", args![user])
        .await
}

/// Keeps a new session.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, session: &SignInSession) -> Result<(), StoreError> {
    tx.insert(session).await
}

/// The session with that id.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, id: SignInSessionId) -> Result<Option<SignInSession>, StoreError> {
    tx.find_global("id = $1", args![id]).await
}

/// The session with that id, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock(tx: &mut Tx, id: SignInSessionId) -> Result<Option<SignInSession>, StoreError> {
    tx.lock_global(
        "update sessions set generation = generation where id = $1 returning id",
        "id = $1",
        || Ok(args![id]),
    )
    .await
}

/// The sessions of `user` that have not ended, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_live(tx: &mut Tx, user: UserId) -> Result<Vec<SignInSession>, StoreError> {
    let now = tx.now();
    tx.all_global(
        "user_id = $1 and revoked_at is null and expires_at > $2 and absolute_expires_at > $2
         order by rotated_at desc, id",
        args![user, now],
    )
    .await
}

/// Goes on to the next refresh token, made with `key_name`.
///
/// # Errors
/// When the database cannot be written.
pub async fn rotate_token(
    tx: &mut Tx,
    id: SignInSessionId,
    key_name: &str,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update sessions set generation = generation + 1, previous_key_name = key_name, key_name = $2,
             rotated_at = $3, expires_at = $4
         where id = $1",
        args![id, key_name, now, expires_at],
    )
    .await
    .map(drop)
}

/// Puts off the end of a session that is used, unless it has ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn put_off_end(
    tx: &mut Tx,
    id: SignInSessionId,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute_global(
        "update sessions set expires_at = $2 where id = $1 and revoked_at is null and expires_at < $2",
        args![id, expires_at],
    )
    .await
    .map(drop)
}

/// Ends the session of `user`, unless it has ended; whether it did.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_one(
    tx: &mut Tx,
    user: UserId,
    id: SignInSessionId,
    reason: SessionEnd,
) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute_global(
            "update sessions set revoked_at = $3, revoke_reason = $4
             where id = $1 and user_id = $2 and revoked_at is null",
            args![id, user, now, reason],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Ends every session of `user` but `kept`; how many did.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_all(
    tx: &mut Tx,
    user: UserId,
    kept: Option<SignInSessionId>,
    reason: SessionEnd,
) -> Result<u64, StoreError> {
    let now = tx.now();
    one_time_tokens::delete_sign_in_tokens(tx, user).await?;
    // The nil id is no session's.
    let kept = kept.unwrap_or(SignInSessionId::from_uuid(uuid::Uuid::nil()));
    tx.execute_global(
        "update sessions set revoked_at = $3, revoke_reason = $4
         where user_id = $1 and id <> $2 and revoked_at is null",
        args![user, kept, now, reason],
    )
    .await
}
