//! Rows of organisations as the API shows them.

use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::MembershipId;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{
    GrantView, InvitationView, MemberUser, MemberView, OrganizationKeyView, OwnershipOfferView,
    ProviderKeyView, RoleView, StaffEntryView,
};
use omoi_store::api_keys::ApiKey;
use omoi_store::invitations::Invitation;
use omoi_store::memberships::{self, Membership};
use omoi_store::ownership_offers::OwnershipOffer;
use omoi_store::provider_keys::ProviderKeyRow;
use omoi_store::roles::RoleRow;
use omoi_store::staff_entries::StaffEntry;
use omoi_store::{StoreError, Tx, project_grants, roles, users};

use crate::api::caller::ApiCaller;
use crate::error::ApiError;

/// The members of the transaction's organisation, or the one named.
pub(super) async fn member_views(
    tx: &mut Tx,
    only: Option<MembershipId>,
) -> Result<Vec<MemberView>, StoreError> {
    let org = tx.org();
    let members = match only {
        Some(id) => vec![memberships::get(tx, org, id).await?],
        None => memberships::list_of_organisation(tx, org).await?,
    };
    let custom = roles::list_all(tx).await?;
    let mut views = Vec::with_capacity(members.len());
    for member in members {
        views.push(member_view(tx, member, &custom).await?);
    }
    Ok(views)
}

async fn member_view(
    tx: &mut Tx,
    member: Membership,
    custom: &[RoleRow],
) -> Result<MemberView, StoreError> {
    let user = users::get(tx, member.user_id).await?;
    let granted = project_grants::list_of_member(tx, member.id).await?;
    let grants = granted.into_iter().map(|grant| GrantView {
        project_id: grant.project_id,
        permission: grant.permission,
    });
    let role_name = match member.role {
        MemberRole::System(role) => role.as_str().to_owned(),
        MemberRole::Custom(id) => {
            let own = custom.iter().find(|role| role.id == id);
            own.map(|role| role.name.clone()).unwrap_or_default()
        }
    };
    Ok(MemberView {
        id: member.id,
        organization_id: member.org_id,
        user_id: member.user_id,
        user: MemberUser {
            full_name: user.name,
            email: user.email,
        },
        role_id: member.role.role_id(),
        role_name,
        grants: grants.collect(),
        joined_at: member.joined_at.map(Into::into),
        version: member.state_version,
    })
}

/// One member of the caller's organisation.
pub(super) async fn read_member(
    caller: &ApiCaller,
    id: MembershipId,
) -> Result<MemberView, ApiError> {
    let rows = caller.own_rows();
    let read = rows.read(async |tx: &mut Tx| member_views(tx, Some(id)).await);
    let first = read.await?.into_iter().next();
    first.ok_or_else(|| {
        ApiError::from(StoreError::NotFound {
            what: "membership",
            key: id.to_string(),
        })
    })
}

pub(super) fn system_role_view(role: SystemRole) -> RoleView {
    let permissions = role.permission_set().list_permissions();
    RoleView {
        id: role.role_id(),
        organization_id: None,
        name: role.as_str().to_owned(),
        description: None,
        permissions: permissions.map(|one| one.as_str().to_owned()).collect(),
        is_system: true,
        inherits_from: None,
        version: 0,
    }
}

pub(super) fn custom_role_view(role: RoleRow) -> RoleView {
    let permissions = role.permissions.0.iter();
    RoleView {
        id: role.id,
        organization_id: Some(role.org_id),
        permissions: permissions.map(|one| one.as_str().to_owned()).collect(),
        name: role.name,
        description: role.description,
        is_system: false,
        inherits_from: role.inherits_from_id,
        version: role.state_version,
    }
}

pub(super) fn invitation_view(invitation: Invitation) -> InvitationView {
    InvitationView {
        id: invitation.id,
        email: invitation.email,
        role_id: invitation.role.role_id(),
        invited_by: invitation.invited_by_id,
        expires_at: invitation.expires_at.into(),
    }
}

pub(super) fn organization_key_view(key: ApiKey, now: Timestamp) -> OrganizationKeyView {
    OrganizationKeyView {
        id: key.id,
        kind: key.kind,
        is_active: key.is_live(now),
        name: key.name,
        key_prefix: key.shown_prefix,
        scopes: key.scopes.0,
        role_id: key.role.map(MemberRole::role_id),
        project_id: key.project_id,
        created_by: key.created_by_id,
        created_at: key.created_at.into(),
        last_used_at: key.last_used_at.map(Into::into),
        expires_at: key.expires_at.map(Into::into),
    }
}

pub(super) fn provider_key_view(key: ProviderKeyRow) -> ProviderKeyView {
    ProviderKeyView {
        provider: key.provider_name,
        last_four: key.last_four,
        set_at: key.set_at.into(),
    }
}

pub(super) fn offer_view(offer: &OwnershipOffer) -> OwnershipOfferView {
    OwnershipOfferView {
        organization_id: offer.org_id,
        user_id: offer.to_user_id,
        offered_by: offer.offered_by_id,
        expires_at: offer.expires_at.into(),
    }
}

pub(super) fn staff_entry_view(entry: StaffEntry) -> StaffEntryView {
    StaffEntryView {
        id: entry.id,
        user_id: entry.user_id,
        reason: entry.reason,
        entered_at: entry.entered_at.into(),
        expires_at: entry.expires_at.into(),
        left_at: entry.left_at.map(Into::into),
    }
}
