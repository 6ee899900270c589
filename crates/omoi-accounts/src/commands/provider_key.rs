//! Keys that an organisation brings for providers of models: set, removed.

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::provider_key::{check_key_provider, check_key_text, key_ending};
use omoi_store::provider_keys::{self, ProviderKeyRow};
use omoi_store::{Tenant, Tx, deployment, memberships};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tracing::warn;

use super::member::MemberAuthority;
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::sealed_secret::{SealedPlace, SealedSecret};

/// Keeps `key` as the organisation's for `provider`, in the place of any other. From then on its questions are asked with
/// it, and what waited for a limit of another key goes on.
///
/// # Errors
/// [`AccountError::ProviderKey`] for a text that is no key, [`AccountError::UnaskedProvider`], and
/// [`AccountError::NoEncryption`] where nothing to encrypt it with is set up.
pub async fn set_provider_key(
    context: &AccountContext,
    by: MemberAuthority,
    provider: &str,
    key: &SecretString,
) -> Result<ProviderKeyRow, AccountError> {
    check_key_text(key.expose_secret())?;
    let ring = context
        .encryption_ring
        .as_ref()
        .ok_or(AccountError::NoEncryption)?;
    let place = SealedPlace {
        org: by.org,
        provider,
    };
    let sealed = SealedSecret::seal_text(ring, &context.rng, place, key)?;
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        check_key_provider(provider, &deployment::key_providers(tx).await?)?;
        memberships::lock_members(tx, by.org).await?;
        let before = provider_keys::find(tx, provider).await?;
        let row = ProviderKeyRow {
            org_id: by.org,
            provider_name: provider.to_owned(),
            ring_key: sealed.ring_key,
            wrapped_key: sealed.wrapped_key,
            sealed_key: sealed.sealed,
            last_four: key_ending(key.expose_secret()),
            set_at: tx.now(),
        };
        provider_keys::replace(tx, &row).await?;
        let act = AuditAct::done_to(AuditAction::SecretSet, by.org);
        let act = match before {
            Some(before) => act.with_before(key_facts(&before)),
            None => act,
        };
        tx.record_act(act.with_after(key_facts(&row)));
        Ok(row)
    };
    let row = tenant.write(CrashPoint::AccountChanged, set).await?;
    end_waits(&tenant).await;
    Ok(row)
}

/// Takes the organisation's key for `provider` away: its questions are asked with the deployment's from then on, where that has
/// one.
///
/// # Errors
/// `NotFound` where it brought none.
pub async fn remove_provider_key(
    context: &AccountContext,
    by: MemberAuthority,
    provider: &str,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let remove = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let removed = provider_keys::take_key(tx, provider).await?;
        let act = AuditAct::done_to(AuditAction::SecretRemoved, by.org);
        tx.record_act(act.with_before(key_facts(&removed)));
        Ok(())
    };
    tenant.write(CrashPoint::AccountChanged, remove).await?;
    end_waits(&tenant).await;
    Ok(())
}

/// Has work of the organisation go on that waits for a limit of the key before. It is a transaction of its own, as it locks
/// tasks, and what fails here goes on by itself at the time that it waits for.
async fn end_waits(tenant: &Tenant) {
    let end = async |tx: &mut Tx| deployment::end_all_waits(tx).await;
    let ended = tenant.write(CrashPoint::AccountChanged, end).await;
    if let Err(error) = ended {
        warn!(%error, "Work that waits for a limit of another key goes on later");
    }
}

/// What the audit log tells of a key.
fn key_facts(row: &ProviderKeyRow) -> Value {
    json!({ "provider_key": row.provider_name, "last_four": row.last_four })
}
