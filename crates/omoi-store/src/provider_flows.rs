//! Ways to a sign-in provider and back that are under way.

use omoi_domain::access::provider_identity::{FlowStage, IdentityProvider};
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A person on the way to a provider, or who came back from it.
    ProviderFlow in "provider_flows" as "flow" {
        /// SHA-256 of what the person comes back with: the state, then the code of the last step.
        digest: String,
        /// The provider.
        provider: IdentityProvider,
        /// How far it is.
        stage: FlowStage,
        /// The key of the ring that the secrets of the flow are made by.
        key_name: String,
        /// SHA-256 of what the browser keeps, which begins and ends the way.
        browser_digest: Option<String>,
        /// Who links an account, or who came back.
        user_id: Option<UserId>,
        /// Where the browser goes at the end.
        return_to: String,
        /// When it ends.
        expires_at: Timestamp,
    }
}

impl GlobalRow for ProviderFlow {}

/// Keeps a flow, and forgets those that have ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, flow: &ProviderFlow) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "delete from provider_flows where expires_at < $1",
        args![now],
    )
    .await?;
    tx.insert(flow).await
}

/// Forgets the ways of `user`: what a stolen session began ends with it.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from provider_flows where user_id = $1";
    tx.execute_global(sql, args![user]).await.map(drop)
}

/// Takes the flow with that digest out: nobody else gets it. None where there is none, or it has ended.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn take_flow(tx: &mut Tx, digest: &str) -> Result<Option<ProviderFlow>, StoreError> {
    let found: Option<ProviderFlow> = tx
        .lock_global(
            "update provider_flows set digest = digest where digest = $1 returning digest",
            "digest = $1",
            || Ok(args![digest]),
        )
        .await?;
    let Some(flow) = found else {
        return Ok(None);
    };
    tx.execute_global(
        "delete from provider_flows where digest = $1",
        args![digest],
    )
    .await?;
    Ok((tx.now() < flow.expires_at).then_some(flow))
}
