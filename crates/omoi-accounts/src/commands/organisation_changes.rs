//! Changing organisations, putting them away and taking them back.

use std::time::Duration;

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::plain_title::given_name;
use omoi_store::organisations::{self, Organisation};
use omoi_store::{Tx, api_keys, memberships};
use serde_json::{Value, json};

use super::member::{MemberAuthority, expect_version};
use crate::context::AccountContext;
use crate::error::AccountError;

/// How long an organisation that was put away can be taken back.
pub const ARCHIVE_KEPT: Duration = Duration::from_hours(30 * 24);

/// What is to change of an organisation; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct OrganisationChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Where bills go.
    pub billing_email: Option<Option<MailAddress>>,
    /// Most tasks at work at once.
    pub max_concurrent_agents: Option<i64>,
}

/// Changes the caller's organisation, while it is one of `versions`.
///
/// # Errors
/// [`AccountError::StaleVersion`], and [`AccountError::Name`].
pub async fn update_organisation(
    context: &AccountContext,
    by: MemberAuthority,
    change: OrganisationChange,
    versions: Option<&[i64]>,
) -> Result<Organisation, AccountError> {
    let name = change.name.as_deref().map(given_name).transpose()?;
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let update = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let mut row = organisations::get(tx).await?;
        expect_version(versions, row.state_version)?;
        let before = organisation_facts(&row);
        row.name = name.unwrap_or(row.name);
        row.description = change.description.unwrap_or(row.description);
        if let Some(billing) = change.billing_email {
            row.billing_email = billing.map(|mail| mail.as_str().to_owned());
        }
        row.max_concurrent_agents = change.max_concurrent_agents.or(row.max_concurrent_agents);
        organisations::save(tx, &mut row).await?;
        let updated = AuditAct::done_to(AuditAction::OrgUpdated, by.org).with_before(before);
        tx.record_act(updated.with_after(organisation_facts(&row)));
        Ok(row)
    };
    context.write_membership(&tenant, update).await
}

/// Puts the caller's organisation away: its keys end, and nothing is begun in it. One that was put away stays so.
///
/// # Errors
/// When the rows cannot be written.
pub async fn archive_organisation(
    context: &AccountContext,
    by: MemberAuthority,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let archive = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let mut row = organisations::get(tx).await?;
        if row.archived_at.is_some() {
            return Ok(());
        }
        row.archived_at = Some(tx.now());
        organisations::save(tx, &mut row).await?;
        let n_keys = api_keys::revoke_all_of_organisation(tx, by.org).await?;
        let archived = AuditAct::done_to(AuditAction::OrgArchived, by.org);
        tx.record_act(archived.with_after(json!({ "keys_revoked": n_keys })));
        Ok(())
    };
    context.write_membership(&tenant, archive).await
}

/// Takes the caller's organisation back, within 30 days.
///
/// # Errors
/// [`AccountError::NotArchived`].
pub async fn restore_organisation(
    context: &AccountContext,
    by: MemberAuthority,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let restore = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let mut row = organisations::get(tx).await?;
        let now = tx.now();
        let is_kept = row
            .archived_at
            .is_some_and(|at| now.since(at) < ARCHIVE_KEPT);
        if !is_kept {
            return Err(AccountError::NotArchived);
        }
        row.archived_at = None;
        organisations::save(tx, &mut row).await?;
        tx.record_act(AuditAct::done_to(AuditAction::OrgRestored, by.org));
        Ok(())
    };
    context.write_membership(&tenant, restore).await
}

fn organisation_facts(row: &Organisation) -> Value {
    json!({
        "name": row.name, "description": row.description, "billing_email": row.billing_email,
        "max_concurrent_agents": row.max_concurrent_agents,
    })
}
