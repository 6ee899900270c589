//! Ways to a sign-in provider and back that are under way: tokens that are good once, each with what is kept of its way.

use serde::{Deserialize, Serialize};

use omoi_domain::access::provider_identity::{FlowStage, IdentityProvider};
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::one_time_tokens::{self, OneTimeToken};
use crate::tx::Tx;

/// A person on the way to a provider, or who came back from it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderFlow {
    /// SHA-256 of what the person comes back with: the state, then the code of the last step.
    pub digest: String,
    /// Who links an account, or who came back.
    pub user_id: Option<UserId>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The way.
    pub details: FlowDetails,
}

/// What is kept of a way. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowDetails {
    /// The provider.
    pub provider: IdentityProvider,
    /// How far it is.
    pub stage: FlowStage,
    /// The key of the ring that the secrets of the flow are made by.
    pub key_name: String,
    /// SHA-256 of what the browser keeps, which begins and ends the way.
    pub browser_digest: Option<String>,
    /// Where the browser goes at the end.
    pub return_to: String,
}

/// Keeps a flow, and forgets those that have ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, flow: &ProviderFlow) -> Result<(), StoreError> {
    let (now, purpose) = (tx.now(), TokenPurpose::ProviderFlow);
    tx.execute_global(
        "delete from one_time_tokens where purpose = $1 and expires_at < $2",
        args![purpose, now],
    )
    .await?;
    let token = OneTimeToken {
        digest: flow.digest.clone(),
        purpose,
        user_id: flow.user_id,
        email: None,
        session_id: None,
        api_key_id: None,
        code_digest: None,
        label: None,
        expires_at: flow.expires_at,
        used_at: None,
        provider_flow: Some(Json(flow.details.clone())),
    };
    tx.insert(&token).await
}

/// Takes the flow with that digest out: nobody else gets it. None where there is none, or it has ended.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn take_flow(tx: &mut Tx, digest: &str) -> Result<Option<ProviderFlow>, StoreError> {
    let found = one_time_tokens::lock(tx, digest).await?;
    let found = found.and_then(|token| {
        let Json(details) = token.provider_flow?;
        Some(ProviderFlow {
            digest: token.digest,
            user_id: token.user_id,
            expires_at: token.expires_at,
            details,
        })
    });
    let Some(flow) = found else {
        return Ok(None);
    };
    tx.execute_global(
        "delete from one_time_tokens where digest = $1",
        args![digest],
    )
    .await?;
    Ok((tx.now() < flow.expires_at).then_some(flow))
}
