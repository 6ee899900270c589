//! A key that opens nothing: the audit log tells that somebody asked with it.

use omoi_domain::access::api_key::KeyDenial;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_store::api_keys::{self, ApiKey};
use omoi_store::{StoreError, Tx};
use serde_json::json;

use crate::api_key::api_key_digest;
use crate::audit::record_act;
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::key_caller;

/// Has the audit log tell that somebody asked with the key `text`, which is not good any more: that of its organisation, or the
/// platform's. Of those who ask on and on one in ten of each minute is told; a text that never was a key is none.
///
/// # Errors
/// When the rows cannot be read or written.
pub async fn note_denied_key(context: &AccountContext, text: &str) -> Result<(), AccountError> {
    let Some(digest) = api_key_digest(text) else {
        return Ok(());
    };
    let look = async |tx: &mut Tx| -> Result<_, StoreError> {
        Ok((api_keys::find_by_digest(tx, &digest).await?, tx.now()))
    };
    let (found, now) = context.store.system().read(look).await?;
    let Some(key) = found else {
        return Ok(());
    };
    let Some(denial) = denial_of(context, &key, now).await? else {
        return Ok(());
    };
    let action = AuditAction::ApiKeyDenied;
    if !context
        .denials
        .count_denial(Actor::Key(key.id), action, now)
    {
        return Ok(());
    }
    let act = AuditAct::denied_to(action, key.id).done_by(Actor::Key(key.id));
    let act = act.with_after(json!({ "name": key.name, "refused": denial.as_str() }));
    let org = key.org_id.unwrap_or(OrgId::PLATFORM);
    Ok(record_act(&context.store, org, act).await?)
}

/// Why `key` is not good at `now`; none where it is.
async fn denial_of(
    context: &AccountContext,
    key: &ApiKey,
    now: Timestamp,
) -> Result<Option<KeyDenial>, AccountError> {
    if key.revoked_at.is_some() {
        return Ok(Some(KeyDenial::Revoked));
    }
    if !key.is_live(now) {
        return Ok(Some(KeyDenial::Expired));
    }
    match key_caller(&context.store, key).await {
        Ok(_) => Ok(None),
        Err(AccountError::InvalidToken) => Ok(Some(KeyDenial::Owner)),
        Err(other) => Err(other),
    }
}
