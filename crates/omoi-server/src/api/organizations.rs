//! Organisations: their members, roles and invitations, and who did what in them.

mod accept_invitation;
mod accept_ownership;
mod add_member;
mod archive_organization;
mod change_member;
mod create_organization;
mod create_organization_key;
mod create_role;
mod delete_role;
mod enter_organization;
mod export_audit;
mod get_organization;
mod grant_permission;
mod invite_member;
mod leave_organization;
mod list_audit;
mod list_invitations;
mod list_members;
mod list_organization_keys;
mod list_organizations;
mod list_provider_keys;
mod list_roles;
mod list_staff_entries;
mod offer_ownership;
mod remove_member;
mod remove_provider_key;
mod restore_organization;
mod revoke_grant;
mod revoke_invitation;
mod revoke_organization_key;
mod set_provider_key;
mod update_organization;
mod update_role;
mod views;
mod withdraw_offer;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::access::mail_address::{BadMailAddress, MailAddress};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::id::{ActorId, AuditTargetId, InvitationId, MembershipId, OrgId, RoleId};
use omoi_protocol::api::{
    AuditEntryView, EXAMPLE_INVITATION, EXAMPLE_MEMBER, EXAMPLE_ORGANIZATION, EXAMPLE_ROLE,
    OrganizationView,
};
use omoi_store::Tx;
use omoi_store::audit_log::AuditEntry;
use omoi_store::organisations::{self, Organisation};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    organizations()
        .merge(members())
        .merge(roles())
        .merge(invitations())
        .merge(keys())
        .merge(provider_keys())
        .merge(ownership())
        .merge(acts())
}

fn organizations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            create_organization::create_organization,
            EmailNotVerified,
            OnWaitlist,
            Conflict
        ))
        .add(operation!(list_organizations::list_organizations))
        .add(operation!(get_organization::get_organization))
        .add(operation!(
            update_organization::update_organization,
            StaleVersion
        ))
        .add(operation!(
            archive_organization::archive_organization,
            ReauthRequired
        ))
        .add(operation!(
            restore_organization::restore_organization,
            Conflict
        ))
}

fn members() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_members::list_members))
        .add(operation!(
            add_member::add_member,
            PrivilegeEscalation,
            ReauthRequired,
            Conflict
        ))
        .add(operation!(
            change_member::change_member,
            PrivilegeEscalation,
            ReauthRequired,
            LastOwner,
            StaleVersion,
            PreconditionRequired
        ))
        .add(operation!(
            remove_member::remove_member,
            PrivilegeEscalation,
            LastOwner
        ))
        .add(operation!(
            grant_permission::grant_permission,
            PrivilegeEscalation
        ))
        .add(operation!(revoke_grant::revoke_grant, PrivilegeEscalation))
}

fn roles() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_roles::list_roles))
        .add(operation!(
            create_role::create_role,
            PrivilegeEscalation,
            Conflict
        ))
        .add(operation!(
            update_role::update_role,
            PrivilegeEscalation,
            Conflict,
            StaleVersion
        ))
        .add(operation!(
            delete_role::delete_role,
            PrivilegeEscalation,
            Conflict
        ))
}

fn invitations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_invitations::list_invitations))
        .add(operation!(
            invite_member::invite_member,
            PrivilegeEscalation,
            ReauthRequired,
            MailNotConfigured
        ))
        .add(operation!(revoke_invitation::revoke_invitation))
        .add(operation!(
            accept_invitation::accept_invitation,
            InvalidToken,
            Conflict
        ))
}

fn keys() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_organization_keys::list_organization_keys))
        .add(operation!(
            create_organization_key::create_organization_key,
            PrivilegeEscalation,
            ReauthRequired,
            TooManyKeys
        ))
        .add(operation!(
            revoke_organization_key::revoke_organization_key,
            PrivilegeEscalation
        ))
}

fn provider_keys() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_provider_keys::list_provider_keys))
        .add(operation!(
            set_provider_key::set_provider_key,
            UnaskedProvider,
            EncryptionNotConfigured
        ))
        .add(operation!(remove_provider_key::remove_provider_key))
}

fn ownership() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(offer_ownership::offer_ownership, ReauthRequired))
        .add(operation!(withdraw_offer::withdraw_offer))
        .add(operation!(accept_ownership::accept_ownership, InvalidToken))
}

fn acts() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(enter_organization::enter_organization, NotFound))
        .add(operation!(leave_organization::leave_organization, NotFound))
        .add(operation!(list_staff_entries::list_staff_entries))
        .add(operation!(list_audit::list_audit, InvalidCursor))
        .add(operation!(export_audit::export_audit))
}

/// Which organisation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OrganizationPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
}

/// Which member.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct MemberPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
    /// Row id of the membership.
    #[param(example = json!(EXAMPLE_MEMBER))]
    member_id: MembershipId,
}

/// Which provider's key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProviderKeyPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
    /// What the deployment calls the provider, such as `anthropic`.
    #[param(example = "anthropic")]
    provider_name: String,
}

/// Which role.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RolePath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
    /// Id of a role that the organisation made.
    #[param(example = json!(EXAMPLE_ROLE))]
    role_id: RoleId,
}

/// Which invitation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InvitationPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
    /// Row id of the invitation.
    #[param(example = json!(EXAMPLE_INVITATION))]
    invitation_id: InvitationId,
}

/// Longest description of an organisation, in characters.
const DESCRIPTION_CHARS_MAX: usize = 2_000;

fn described_text(text: Option<String>) -> Result<Option<String>, ApiError> {
    let n_chars = text.as_deref().unwrap_or_default().chars().count();
    match n_chars > DESCRIPTION_CHARS_MAX {
        true => {
            let says = format!("a description has at most {DESCRIPTION_CHARS_MAX} characters");
            Err(ApiError::invalid_value(says).with_field("/description"))
        }
        false => Ok(text),
    }
}

fn mail_address(text: &str) -> Result<MailAddress, ApiError> {
    text.parse().map_err(|error: BadMailAddress| {
        ApiError::invalid_value(error.to_string()).with_field("/billing_email")
    })
}

/// The organisation that a request takes place in.
async fn read_organization(caller: &ApiCaller) -> Result<OrganizationView, ApiError> {
    let rows = caller.own_rows();
    let found = rows.read(async |tx: &mut Tx| organisations::get(tx).await);
    let permissions = caller.member_authority().power.permissions;
    Ok(organization_view(found.await?, permissions))
}

/// Where bills go is shown to whoever may read them.
fn organization_view(row: Organisation, permissions: PermissionSet) -> OrganizationView {
    let sees_bills = permissions.contains(Permission::BillingRead);
    OrganizationView {
        id: row.id,
        name: row.name,
        slug: row.slug,
        description: row.description,
        owner_id: row.owner_id,
        billing_email: row.billing_email.filter(|_| sees_bills),
        max_concurrent_agents: row.max_concurrent_agents,
        created_at: row.created_at.map(Into::into),
        archived_at: row.archived_at.map(Into::into),
        version: row.state_version,
        permissions: permissions.list_permissions().collect(),
    }
}

/// An entry of the audit log as the API shows it.
pub fn audit_entry_view(entry: AuditEntry) -> AuditEntryView {
    // What is no JSON was changed past the platform: it is shown as the text that it is.
    let shown = |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| text.into()))
    };
    AuditEntryView {
        id: entry.id,
        seq: entry.seq,
        organization_id: entry.org_id,
        occurred_at: entry.occurred_at.into(),
        actor_kind: entry.actor.actor_kind(),
        actor_id: entry.actor.actor_id().map(ActorId::from_uuid),
        credential_id: entry.credential_id,
        action: entry.action,
        target_type: entry.target.target_kind,
        target_id: entry.target.target_id.map(AuditTargetId::from_uuid),
        outcome: entry.outcome,
        ip: entry.ip,
        user_agent: entry.user_agent,
        request_id: entry.request_id,
        reason: entry.reason,
        before: shown(entry.value_before),
        after: shown(entry.value_after),
        digest: entry.digest,
    }
}
