//! What a caller may do, by organisation: from memberships, roles, grants and keys.

use std::collections::BTreeMap;

use omoi_domain::access::api_key::ApiKeyKind;
use omoi_domain::access::decision::{KeyReach, OrganisationReach, ProjectGrant};
use omoi_domain::access::grant::key_permissions;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::{CustomRole, RolePower};
use omoi_domain::actor::Actor;
use omoi_domain::id::{ApiKeyId, OrgId, UserId};
use omoi_domain::time::Timestamp;
use omoi_store::api_keys::ApiKey;
use omoi_store::memberships::{self, Membership};
use omoi_store::{Store, Tx, organisations, project_grants, roles, staff_entries, users};
use tracing::warn;

use crate::error::AccountError;

/// What `user` may do in each organisation that they belong to, or entered as staff; nothing where their role cannot be
/// followed.
///
/// # Errors
/// When the rows cannot be read.
pub async fn user_reaches(
    store: &Store,
    user: UserId,
) -> Result<Vec<OrganisationReach>, AccountError> {
    let system = store.system();
    let stays = system
        .read(async |tx: &mut Tx| staff_entries::list_open(tx, user).await)
        .await?;
    let mut reaches = member_reaches(store, user).await?;
    for stay in &stays {
        add_stay(&mut reaches, stay.org_id);
    }
    Ok(reaches)
}

/// What `user` may do in each organisation that they belong to. No key goes where its owner is as staff.
pub(crate) async fn member_reaches(
    store: &Store,
    user: UserId,
) -> Result<Vec<OrganisationReach>, AccountError> {
    let system = store.system();
    let all = system
        .read(async |tx: &mut Tx| memberships::list_of_user(tx, user).await)
        .await?;
    let mut reaches = Vec::new();
    for membership in &all {
        let tenant = store.tenant(membership.org_id);
        reaches.push(
            tenant
                .read(async |tx: &mut Tx| member_reach(tx, membership).await)
                .await?,
        );
    }
    Ok(reaches)
}

/// Staff who entered an organisation reach as far as its admins, and no less than by what they are there anyway.
fn add_stay(reaches: &mut Vec<OrganisationReach>, org: OrgId) {
    let entered = OrganisationReach::of_staff(org);
    match reaches.iter_mut().find(|reach| reach.org == org) {
        Some(own) => own.role = own.role.union_with(entered.role),
        None => reaches.push(entered),
    }
}

/// Who a good key acts for, and how far it reaches.
#[derive(Debug)]
pub struct KeyCaller {
    /// The key.
    pub key: ApiKeyId,
    /// Whose its acts are.
    pub actor: Actor,
    /// What it may do, by organisation.
    pub reaches: Vec<OrganisationReach>,
    /// Whether the person it acts for, if any, showed that their mail address is theirs.
    pub is_verified: bool,
    /// When it ends by itself, if it ever does.
    pub expires_at: Option<Timestamp>,
}

/// Who `key` acts for; it never reaches further than its owner does now.
///
/// # Errors
/// [`AccountError::InvalidToken`] when its owner may not sign in any more.
pub(crate) async fn key_caller(store: &Store, key: &ApiKey) -> Result<KeyCaller, AccountError> {
    let narrowed = KeyReach {
        scopes: key_permissions(&key.scopes.0),
        project: key.project_id,
    };
    let role = match key.kind {
        ApiKeyKind::Person => {
            let user = key.user_id.ok_or(AccountError::InvalidToken)?;
            return person_caller(store, key, user, narrowed).await;
        }
        ApiKeyKind::Organization => key.role.ok_or(AccountError::InvalidToken)?,
        ApiKeyKind::Agent => MemberRole::System(SystemRole::AgentExecutor),
    };
    let org = key.org_id.ok_or(AccountError::InvalidToken)?;
    let tenant = store.tenant(org);
    let power = tenant
        .read(async |tx: &mut Tx| -> Result<_, AccountError> {
            let power = power_or_none(tx, role).await?;
            let is_archived = organisations::get(tx).await?.archived_at.is_some();
            Ok(match is_archived {
                true => archived_permissions(power.permissions),
                false => power.permissions,
            })
        })
        .await?;
    let reach = OrganisationReach {
        org,
        role: power,
        grants: Vec::new(),
        key: Some(narrowed),
    };
    Ok(KeyCaller {
        key: key.id,
        actor: Actor::Key(key.id),
        reaches: vec![reach],
        is_verified: true,
        expires_at: key.expires_at,
    })
}

async fn person_caller(
    store: &Store,
    key: &ApiKey,
    user: UserId,
    narrowed: KeyReach,
) -> Result<KeyCaller, AccountError> {
    let system = store.system();
    let owner = system
        .read(async |tx: &mut Tx| users::get(tx, user).await)
        .await?;
    if !owner.is_active {
        return Err(AccountError::InvalidToken);
    }
    let only: Option<OrgId> = key.org_id;
    let mut reaches = member_reaches(store, user).await?;
    reaches.retain(|reach| only.is_none_or(|only| reach.org == only));
    for reach in &mut reaches {
        reach.key = Some(narrowed);
    }
    Ok(KeyCaller {
        key: key.id,
        actor: Actor::User(user),
        reaches,
        is_verified: owner.is_verified(),
        expires_at: key.expires_at,
    })
}

async fn member_reach(
    tx: &mut Tx,
    membership: &Membership,
) -> Result<OrganisationReach, AccountError> {
    let power = power_or_none(tx, membership.role).await?;
    if organisations::get(tx).await?.archived_at.is_some() {
        return Ok(OrganisationReach {
            org: membership.org_id,
            role: archived_permissions(power.permissions),
            grants: Vec::new(),
            key: None,
        });
    }
    let granted = project_grants::list_of_member(tx, membership.id).await?;
    let grants = granted.into_iter().map(|grant| ProjectGrant {
        project: grant.project_id,
        permission: grant.permission,
    });
    Ok(OrganisationReach {
        org: membership.org_id,
        role: power.permissions,
        grants: grants.collect(),
        key: None,
    })
}

/// What is left of `own` in an organisation that was put away: to look, and to take it back.
fn archived_permissions(own: PermissionSet) -> PermissionSet {
    let back = PermissionSet::of_permissions(&[Permission::OrgDelete]);
    own.common_with(PermissionSet::of_reads().union_with(back))
}

/// As [`role_power`]; no power where the chain cannot be followed, so that a broken role of one organisation keeps nobody
/// out of another, and can be taken from whoever has it.
pub(crate) async fn power_or_none(
    tx: &mut Tx,
    role: MemberRole,
) -> Result<RolePower, AccountError> {
    match role_power(tx, role).await {
        Err(AccountError::RoleChain(error)) => {
            warn!(org = %tx.org(), %error, "A role cannot be followed; whoever has it may do nothing there");
            Ok(RolePower::NONE)
        }
        followed => followed,
    }
}

/// What a role of the transaction's organisation allows, its chain followed.
pub(crate) async fn role_power(tx: &mut Tx, role: MemberRole) -> Result<RolePower, AccountError> {
    let MemberRole::Custom(_) = role else {
        return Ok(RolePower::of_role(role, &BTreeMap::new())?);
    };
    let rows = roles::list_all(tx).await?.into_iter();
    let custom = rows.map(|row| {
        let role = CustomRole {
            permissions: row.permissions.0,
            inherits_from: row.inherits_from_id,
        };
        (row.id, role)
    });
    Ok(RolePower::of_role(role, &custom.collect())?)
}
