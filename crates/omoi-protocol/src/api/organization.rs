//! Organisations, their members, roles and invitations.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::access::api_key::ApiKeyKind;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::permission::Permission;
use omoi_domain::id::{
    ApiKeyId, InvitationId, MembershipId, OrgId, ProjectId, RoleId, StaffEntryId, UserId,
};

use super::ApiTime;
use super::spec::given_value;

/// A new organisation. `POST /organizations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "Acme", "slug": "acme", "billing_email": "bills@example.org" }))]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// What people call it: 1 to 200 characters in one line.
    pub name: String,
    /// Its name in addresses: small letters, digits and `-`, nobody else's.
    #[schema(pattern = "^[a-z0-9-]{1,255}$")]
    pub slug: String,
    /// What it is for.
    pub description: Option<String>,
    /// Where bills go.
    pub billing_email: Option<String>,
}

/// Body of `PATCH /organizations/{organization_id}`: what is left out stays as it is, and `null` clears.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "Acme Works" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateOrganization {
    /// Another name.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Where bills go.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub billing_email: Option<Option<String>>,
    /// Most tasks at work at once, 1 to 100. It needs `org:limits:write`.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = i64, minimum = 1, maximum = 100)]
    pub max_concurrent_agents: Option<i64>,
}

/// An organisation. `GET /organizations/{organization_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationView {
    /// Row id of the organisation.
    pub id: OrgId,
    /// What people call it.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner_id: UserId,
    /// Where bills go; shown to whoever may read bills.
    pub billing_email: Option<String>,
    /// Most tasks at work at once; without it the deployment's limit alone holds.
    pub max_concurrent_agents: Option<i64>,
    /// When it was made; none for the organisation of a laptop.
    pub created_at: Option<ApiTime>,
    /// When it was put away.
    pub archived_at: Option<ApiTime>,
    /// Grows with each change by a person.
    pub version: i64,
    /// What this credential may do there.
    pub permissions: Vec<Permission>,
}

/// A person of an organisation, as others see them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberUser {
    /// What people call them.
    pub full_name: String,
    /// Their mail address; none for the person of a laptop.
    pub email: Option<String>,
}

/// A member. `GET /organizations/{organization_id}/members`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Row id of the membership.
    pub id: MembershipId,
    /// Where.
    pub organization_id: OrgId,
    /// Who.
    pub user_id: UserId,
    /// How others see them.
    pub user: MemberUser,
    /// Their role.
    pub role_id: RoleId,
    /// What the role is called.
    pub role_name: String,
    /// What they may do in single projects beyond it.
    pub grants: Vec<GrantView>,
    /// Since when; none for the person of a laptop.
    pub joined_at: Option<ApiTime>,
    /// Grows with each change of the role.
    pub version: i64,
}

/// One permission more, in one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "project_id": "01930000-0000-7000-8000-000000000001", "permission": "spec:approve" }))]
#[serde(deny_unknown_fields)]
pub struct GrantView {
    /// Where.
    pub project_id: ProjectId,
    /// `spec:approve` or `ticket:approve`.
    pub permission: Permission,
}

/// Somebody with an account, made a member. `POST /organizations/{organization_id}/members`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "user_id": "01930000-0000-7000-8000-000000000006", "role_id": "01930000-0000-7000-8000-000000000103"
}))]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Who.
    pub user_id: UserId,
    /// Their role.
    pub role_id: RoleId,
}

/// Another role of a member. `PATCH /organizations/{organization_id}/members/{member_id}`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "role_id": "01930000-0000-7000-8000-000000000103" }))]
#[serde(deny_unknown_fields)]
pub struct ChangeMember {
    /// The role.
    pub role_id: RoleId,
}

/// An invitation. `POST /organizations/{organization_id}/invitations`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "email": "bob@example.org", "role_id": "01930000-0000-7000-8000-000000000103" }))]
#[serde(deny_unknown_fields)]
pub struct InviteMember {
    /// To this address, which whoever accepts has shown to be theirs.
    pub email: String,
    /// The role that they get.
    pub role_id: RoleId,
}

/// An invitation that is open. `GET /organizations/{organization_id}/invitations`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InvitationView {
    /// Row id of the invitation.
    pub id: InvitationId,
    /// To whom.
    pub email: String,
    /// The role that they get.
    pub role_id: RoleId,
    /// Who invited; none of the operator's.
    pub invited_by: Option<UserId>,
    /// When it ends.
    pub expires_at: ApiTime,
}

/// The yes to an invitation. `POST /invitations/accept`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "token": "9f0c2b7d6a514e38b1c4d2e7f8a90315" }))]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The token that the mail carries.
    pub token: String,
}

impl fmt::Debug for AcceptInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptInvitation").finish_non_exhaustive()
    }
}

/// What came of accepting an invitation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JoinedOrganization {
    /// Where.
    pub organization_id: OrgId,
    /// Row id of the membership.
    pub membership_id: MembershipId,
}

/// A role that an organisation makes. `POST /organizations/{organization_id}/roles`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "Reviewer", "permissions": ["spec:read", "task:*"], "inherits_from": "01930000-0000-7000-8000-000000000103"
}))]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// What people call it: 1 to 100 characters, none of the system's names.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it allows, as names or patterns.
    #[schema(value_type = Vec<String>)]
    pub permissions: Vec<PermissionPattern>,
    /// The role whose permissions it has too.
    pub inherits_from: Option<RoleId>,
}

/// Body of `PATCH /organizations/{organization_id}/roles/{role_id}`: what is left out stays as it is, and `null` clears.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "permissions": ["spec:read"] }))]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// Another name.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// What it allows, in place of what it allowed.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub permissions: Option<Vec<PermissionPattern>>,
    /// The role whose permissions it has too.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub inherits_from: Option<Option<RoleId>>,
}

/// A role. `GET /organizations/{organization_id}/roles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoleView {
    /// Its id.
    pub id: RoleId,
    /// Whose it is; none of those that every organisation has.
    pub organization_id: Option<OrgId>,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it allows by itself, as names or patterns.
    pub permissions: Vec<String>,
    /// Whether every organisation has it, and nobody changes it.
    pub is_system: bool,
    /// The role whose permissions it has too.
    pub inherits_from: Option<RoleId>,
    /// Grows with each change.
    pub version: i64,
}

/// Somebody to hand an organisation over to. `POST /organizations/{organization_id}/transfer`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "user_id": "01930000-0000-7000-8000-000000000006" }))]
#[serde(deny_unknown_fields)]
pub struct OfferOwnership {
    /// A member, who accepts within 72 hours.
    pub user_id: UserId,
}

/// An offer to own an organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OwnershipOfferView {
    /// Where.
    pub organization_id: OrgId,
    /// To whom.
    pub user_id: UserId,
    /// By which owner.
    pub offered_by: UserId,
    /// When it ends.
    pub expires_at: ApiTime,
}

/// Why a member of staff enters an organisation. `POST /organizations/{organization_id}/staff-entries`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "reason": "the owner asked us why a run stands still" }))]
#[serde(deny_unknown_fields)]
pub struct EnterOrganization {
    /// 1 to 500 characters, which the owners read.
    pub reason: String,
}

/// A stay of a member of staff. `GET /organizations/{organization_id}/staff-entries`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StaffEntryView {
    /// Row id of the stay.
    pub id: StaffEntryId,
    /// Who.
    pub user_id: UserId,
    /// Why, in their words.
    pub reason: String,
    /// Since when.
    pub entered_at: ApiTime,
    /// Until when at most.
    pub expires_at: ApiTime,
    /// When they left before that.
    pub left_at: Option<ApiTime>,
}

/// A key of an organisation or of an agent. `POST /organizations/{organization_id}/api-keys`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "ci", "role_id": "01930000-0000-7000-8000-000000000103", "scopes": ["spec:read"], "expires_in_days": 90
}))]
#[serde(deny_unknown_fields)]
pub struct CreateOrganizationKey {
    /// What people call it: 1 to 100 characters.
    pub name: String,
    /// The role of a key of the organisation, not above that of whoever makes it.
    pub role_id: Option<RoleId>,
    /// The one project of an agent's key.
    pub project_id: Option<ProjectId>,
    /// What of its role it has, as names or patterns; without any it reads.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<PermissionPattern>,
    /// Days until it ends, 1 to 365, of an agent's at most 90; without it, it stays until it is revoked.
    pub expires_in_days: Option<u32>,
}

/// A key of an organisation as lists show it. `GET /organizations/{organization_id}/api-keys`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrganizationKeyView {
    /// Row id of the key.
    pub id: ApiKeyId,
    /// Whether it is the organisation's or an agent's.
    pub kind: ApiKeyKind,
    /// What people call it.
    pub name: String,
    /// Its first 12 characters.
    pub key_prefix: String,
    /// What of its role it has; none where it reads.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<PermissionPattern>,
    /// The role of a key of the organisation.
    pub role_id: Option<RoleId>,
    /// The project of an agent's key.
    pub project_id: Option<ProjectId>,
    /// Who made it.
    pub created_by: UserId,
    /// Whether it is good now.
    pub is_active: bool,
    /// When it was made.
    pub created_at: ApiTime,
    /// When it was used, to the minute.
    pub last_used_at: Option<ApiTime>,
    /// When it ends.
    pub expires_at: Option<ApiTime>,
}

/// A key that was just made. This is the only time that it is told.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedOrganizationKey {
    /// The key, for `Authorization: Bearer` or `X-API-Key`.
    pub key: String,
    /// How lists show it.
    pub api_key: OrganizationKeyView,
}

impl fmt::Debug for IssuedOrganizationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedOrganizationKey")
            .finish_non_exhaustive()
    }
}
