//! Making organisations, and what they may have at work.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, UserId};
use omoi_domain::organisation::{AGENTS_OF_NEW_ORGANISATION, OrganisationSlug};
use omoi_domain::plain_title::given_name;
use omoi_store::organisations::{self, NewOrganisation, Organisation};
use omoi_store::{StoreError, Tx, users};
use serde_json::json;

use super::member::join_organisation;
use crate::context::AccountContext;
use crate::error::AccountError;

/// What somebody makes an organisation with.
#[derive(Clone, Debug)]
pub struct OrganisationDraft {
    /// What people call it.
    pub name: String,
    /// Its name in addresses.
    pub slug: OrganisationSlug,
    /// What it is for.
    pub description: Option<String>,
    /// Where bills go.
    pub billing_email: Option<MailAddress>,
}

/// Makes an organisation that `owner` answers for, with the deployment's budget of a month.
///
/// # Errors
/// [`AccountError::Name`], `Exists` where the slug is taken, and `NotFound` for an owner who may not sign in.
pub async fn create_organisation(
    context: &AccountContext,
    by: Actor,
    owner: UserId,
    draft: OrganisationDraft,
) -> Result<Organisation, AccountError> {
    let new = NewOrganisation {
        name: given_name(&draft.name)?,
        slug: draft.slug,
        description: draft.description,
        owner_id: owner,
        billing_email: draft.billing_email.map(|mail| mail.as_str().to_owned()),
        max_concurrent_agents: Some(AGENTS_OF_NEW_ORGANISATION),
        month_limit: Some(context.organization_month),
    };
    let id: OrgId = context.store.new_id();
    let tenant = context.store.tenant(id).acting_as(by);
    let create = async |tx: &mut Tx| -> Result<_, AccountError> {
        if !users::get(tx, owner).await?.is_active {
            let key = owner.to_string();
            return Err(StoreError::NotFound { what: "user", key }.into());
        }
        let organisation = organisations::create(tx, &new).await?;
        let created = AuditAct::done_to(AuditAction::OrgCreated, id);
        tx.record_act(
            created.with_after(json!({ "name": organisation.name, "slug": organisation.slug })),
        );
        join_organisation(tx, id, owner, MemberRole::System(SystemRole::Owner)).await?;
        Ok(organisation)
    };
    context.write_membership(&tenant, create).await
}

/// Sets how many tasks of an organisation may be at work at once. Those that are go on.
///
/// # Errors
/// When the rows cannot be written, and `Conflict` where somebody changed it meanwhile.
pub async fn set_agents_max(
    context: &AccountContext,
    by: Actor,
    org: OrgId,
    max_concurrent_agents: i64,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(org).acting_as(by);
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        let mut organisation = organisations::get(tx).await?;
        let before = json!({ "max_concurrent_agents": organisation.max_concurrent_agents });
        organisation.max_concurrent_agents = Some(max_concurrent_agents);
        organisations::save(tx, &mut organisation).await?;
        let updated = AuditAct::done_to(AuditAction::OrgUpdated, org).with_before(before);
        let after = json!({ "max_concurrent_agents": max_concurrent_agents });
        tx.record_act(updated.with_after(after));
        Ok(())
    };
    tenant.write(CrashPoint::AccountChanged, set).await
}
