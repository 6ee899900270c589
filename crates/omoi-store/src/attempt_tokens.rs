//! Tokens of attempts, which say whose rows their holder may see: they are looked up before that is known.

use omoi_domain::id::{AttemptId, OrgId};

use crate::args;
use crate::error::StoreError;
use crate::row::{Row as _, row};
use crate::tx::Tx;

row! {
    /// The token of an attempt. One of an attempt that is over stays, so that a late report is known as such.
    AttemptToken in "attempt_tokens" as "token of an attempt" {
        /// SHA-256 of the token.
        token_hash: String,
        /// Whose attempt it is.
        org_id: OrgId,
        /// The attempt.
        attempt_id: AttemptId,
    }
}

/// Gives `attempt` of this organisation the token with that digest.
///
/// # Errors
/// [`StoreError::Exists`] when it has one.
pub async fn insert(tx: &mut Tx, attempt: AttemptId, token_hash: &str) -> Result<(), StoreError> {
    let token = AttemptToken {
        token_hash: token_hash.to_owned(),
        org_id: tx.org(),
        attempt_id: attempt,
    };
    tx.insert(&token).await
}

/// The token with that digest, of whichever organisation; for [`Store::system`](crate::Store::system).
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, token_hash: &str) -> Result<Option<AttemptToken>, StoreError> {
    const SQL: &str =
        "select token_hash, org_id, attempt_id from attempt_tokens where token_hash = $1";
    let rows = tx.raw(SQL, args![token_hash]).await?;
    rows.first().map(AttemptToken::read).transpose()
}
