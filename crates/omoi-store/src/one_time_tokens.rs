//! Tokens that are good once.

use omoi_domain::access::token_purpose::{TokenFacts, TokenPurpose};
use omoi_domain::id::{ApiKeyId, SignInSessionId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::provider_flows::FlowDetails;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A token that is good once. The token itself is known to its holder alone.
    OneTimeToken in "one_time_tokens" as "token" {
        /// SHA-256 of it.
        digest: String,
        /// What it is for.
        purpose: TokenPurpose,
        /// Whose it is.
        user_id: Option<UserId>,
        /// The address it was made for, where there is no user yet.
        email: Option<String>,
        /// The sign-in that asked for it.
        session_id: Option<SignInSessionId>,
        /// The key that asked for it.
        api_key_id: Option<ApiKeyId>,
        /// SHA-256 of the code by which people know what they approve.
        code_digest: Option<String>,
        /// The machine that waits for their approval.
        label: Option<String>,
        /// When it ends.
        expires_at: Timestamp,
        /// When it was used.
        used_at: Option<Timestamp>,
        /// What is kept of a person who went to a sign-in provider.
        provider_flow: Option<Json<FlowDetails>>,
    }
}

impl GlobalRow for OneTimeToken {}

impl OneTimeToken {
    /// What the rule of its use asks.
    pub fn token_facts(&self) -> TokenFacts {
        TokenFacts {
            purpose: self.purpose,
            expires_at: self.expires_at,
            used_at: self.used_at,
        }
    }
}

/// Keeps a new token of its user in place of every earlier one for that purpose. The user is locked before: of two
/// that are made at once, the later one is good.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, token: &OneTimeToken) -> Result<(), StoreError> {
    tx.execute_global(
        "delete from one_time_tokens where purpose = $1 and (user_id = $2 or email = $3)",
        args![token.purpose, token.user_id, token.email],
    )
    .await?;
    tx.insert(token).await
}

/// Removes every token of `user`.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from one_time_tokens where user_id = $1";
    tx.execute_global(sql, args![user]).await.map(drop)
}

/// Removes what `user` was about to be let in by: ways to providers and back, machines that they said yes to, tickets of
/// sockets and links. What a stolen session began ends with it.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_sign_in_tokens(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.execute_global(
        "delete from one_time_tokens where user_id = $1 and purpose in ($2, $3, $4, $5)",
        args![
            user,
            TokenPurpose::ProviderFlow,
            TokenPurpose::LoginCode,
            TokenPurpose::LiveTicket,
            TokenPurpose::LocalLink
        ],
    )
    .await
    .map(drop)
}

/// The token with that digest, without keeping anybody from it.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, digest: &str) -> Result<Option<OneTimeToken>, StoreError> {
    tx.find_global("digest = $1", args![digest]).await
}

/// The token with that digest, which nobody else uses until the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock(tx: &mut Tx, digest: &str) -> Result<Option<OneTimeToken>, StoreError> {
    tx.lock_global(
        "update one_time_tokens set purpose = purpose where digest = $1 returning digest",
        "digest = $1",
        || Ok(args![digest]),
    )
    .await
}

/// Notes that the token was used.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_used(tx: &mut Tx, digest: &str) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update one_time_tokens set used_at = $2 where digest = $1",
        args![digest, now],
    )
    .await
    .map(drop)
}

/// Keeps a token beside earlier ones for its purpose.
///
/// # Errors
/// When the database cannot be written; [`StoreError::Exists`] where another one has its code.
pub async fn insert(tx: &mut Tx, token: &OneTimeToken) -> Result<(), StoreError> {
    tx.insert(token).await
}

/// Removes the tokens for that purpose that have ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_ended(tx: &mut Tx, purpose: TokenPurpose) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "delete from one_time_tokens where purpose = $1 and expires_at <= $2",
        args![purpose, now],
    )
    .await
    .map(drop)
}

/// The token whose code has that digest, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock_by_code(tx: &mut Tx, digest: &str) -> Result<Option<OneTimeToken>, StoreError> {
    tx.lock_global(
        "update one_time_tokens set purpose = purpose where code_digest = $1 returning digest",
        "code_digest = $1",
        || Ok(args![digest]),
    )
    .await
}

/// The token whose code has that digest.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_by_code(tx: &mut Tx, digest: &str) -> Result<Option<OneTimeToken>, StoreError> {
    tx.find_global("code_digest = $1", args![digest]).await
}

/// Notes whose the token is.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_user(tx: &mut Tx, digest: &str, user: UserId) -> Result<(), StoreError> {
    tx.execute_global(
        "update one_time_tokens set user_id = $2 where digest = $1",
        args![digest, user],
    )
    .await
    .map(drop)
}
