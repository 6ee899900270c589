//! Who belongs to an organisation, and as what.

use omoi_domain::access::grant::{may_drop_owner, may_give};
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{MembershipId, OrgId, UserId};
use omoi_store::memberships::{self, Membership};
use omoi_store::ownership_offers::OwnershipOffer;
use omoi_store::{
    StoreError, Tx, invitations, organisations, ownership_offers, project_grants, users,
};
use serde_json::{Value, json};

use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::{power_or_none, role_power};

/// Who changes the members of an organisation, and how much they may give.
#[derive(Clone, Copy, Debug)]
pub struct MemberAuthority {
    /// Where.
    pub org: OrgId,
    /// Who.
    pub actor: Actor,
    /// What they may do there.
    pub power: RolePower,
}

impl MemberAuthority {
    /// Whoever runs the platform, at its machine.
    pub const fn of_operator(org: OrgId) -> Self {
        Self {
            org,
            actor: Actor::System,
            power: RolePower::of_system(SystemRole::Owner),
        }
    }
}

/// Makes `user` a member.
///
/// # Errors
/// [`AccountError::Escalation`], and `Exists` where they are one.
pub async fn add_member(
    context: &AccountContext,
    by: MemberAuthority,
    user: UserId,
    role: MemberRole,
) -> Result<MembershipId, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let add = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        may_give(by.power, role_power(tx, role).await?)?;
        Ok(join_organisation(tx, by.org, user, role).await?)
    };
    let refused = AuditAct::denied_to(AuditAction::MemberAdded, user)
        .with_after(json!({ "role_id": role.role_id() }));
    let done = context.write_membership(&tenant, add).await;
    context.audit_refusal(&tenant, refused, done).await
}

/// Somebody with an account, made a member by one who knows them.
#[derive(Clone, Copy, Debug)]
pub struct KnownAccount<'a> {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: MemberRole,
    /// The organisations in which the caller sees members.
    pub met_in: &'a [OrgId],
}

/// As [`add_member`], for somebody who can sign in and whom the caller knows from an organisation that both belong to.
///
/// # Errors
/// As [`add_member`], and `NotFound` for everybody else, whether they have an account or not.
pub async fn add_known_member(
    context: &AccountContext,
    by: MemberAuthority,
    account: KnownAccount<'_>,
) -> Result<MembershipId, AccountError> {
    let system = context.store.system();
    let user = account.user;
    // Both are read for whoever is named, so that an account which is there takes no longer to refuse.
    let read = async |tx: &mut Tx| -> Result<_, StoreError> {
        let found = users::find(tx, user).await?;
        Ok((found, memberships::list_of_user(tx, user).await?))
    };
    let (found, joined) = system.read(read).await?;
    let can_sign_in = found.is_some_and(|found| found.is_active && found.is_verified());
    let is_met = |member: &Membership| account.met_in.contains(&member.org_id);
    // Of others nothing is told: an id that was guessed is no account, and a stranger is invited to their address.
    if !can_sign_in || !joined.iter().any(is_met) {
        let key = user.to_string();
        return Err(StoreError::NotFound { what: "user", key }.into());
    }
    add_member(context, by, user, account.role).await
}

/// Refuses a change that is meant for other versions of a row.
///
/// # Errors
/// [`AccountError::StaleVersion`].
pub(super) fn expect_version(versions: Option<&[i64]>, version: i64) -> Result<(), AccountError> {
    match versions.is_none_or(|versions| versions.contains(&version)) {
        true => Ok(()),
        false => Err(AccountError::StaleVersion),
    }
}

/// Gives a member another role. Their access tokens end, so that the next ones know of it; a role that allows less than
/// the old one ends what they were granted for single projects, too.
///
/// # Errors
/// [`AccountError::Escalation`] when the old or the new role stands above the caller's, [`AccountError::LastOwner`].
pub async fn set_member_role(
    context: &AccountContext,
    by: MemberAuthority,
    id: MembershipId,
    role: MemberRole,
    versions: Option<&[i64]>,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        let (member, before) = changeable_member(tx, by, id).await?;
        expect_version(versions, member.state_version)?;
        let power = role_power(tx, role).await?;
        may_give(by.power, power)?;
        if !role.is_owner() {
            keep_an_owner(tx, &member).await?;
        }
        if !before.permissions.is_within(power.permissions) {
            project_grants::delete_of_member(tx, id).await?;
        }
        memberships::set_role(tx, id, role).await?;
        if !role.is_owner() {
            name_another_owner(tx, &member).await?;
        }
        let changed = AuditAct::done_to(AuditAction::MemberRoleChanged, id);
        let changed = changed.with_before(json!({ "role_id": member.role.role_id() }));
        tx.record_act(changed.with_after(json!({ "role_id": role.role_id() })));
        Ok(users::raise_epoch(tx, member.user_id).await?)
    };
    let refused = AuditAct::denied_to(AuditAction::MemberRoleChanged, id)
        .with_after(json!({ "role_id": role.role_id() }));
    let done = context.write_membership(&tenant, set).await;
    context.audit_refusal(&tenant, refused, done).await
}

/// Removes a member, with the invitations that they made. Their keys reach nothing here from then on.
///
/// # Errors
/// As [`set_member_role`].
pub async fn remove_member(
    context: &AccountContext,
    by: MemberAuthority,
    id: MembershipId,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let remove = async |tx: &mut Tx| -> Result<_, AccountError> {
        let (member, _) = changeable_member(tx, by, id).await?;
        keep_an_owner(tx, &member).await?;
        invitations::cancel_of_inviter(tx, by.org, member.user_id).await?;
        memberships::delete(tx, id).await?;
        name_another_owner(tx, &member).await?;
        let removed = AuditAct::done_to(AuditAction::MemberRemoved, id);
        tx.record_act(removed.with_before(member_facts(&member)));
        Ok(users::raise_epoch(tx, member.user_id).await?)
    };
    let refused = AuditAct::denied_to(AuditAction::MemberRemoved, id);
    let done = context.write_membership(&tenant, remove).await;
    context.audit_refusal(&tenant, refused, done).await
}

pub(super) async fn join_organisation(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
    role: MemberRole,
) -> Result<MembershipId, omoi_store::StoreError> {
    let membership = Membership {
        id: tx.new_id(),
        org_id: org,
        user_id: user,
        role,
        joined_at: Some(tx.now()),
        state_version: 0,
    };
    memberships::insert(tx, &membership).await?;
    let added = AuditAct::done_to(AuditAction::MemberAdded, membership.id);
    tx.record_act(added.with_after(member_facts(&membership)));
    Ok(membership.id)
}

fn member_facts(member: &Membership) -> Value {
    json!({ "user_id": member.user_id, "role_id": member.role.role_id() })
}

/// The member, whom nobody else changes meanwhile and who does not stand above the caller, and what they may do.
pub(super) async fn changeable_member(
    tx: &mut Tx,
    by: MemberAuthority,
    id: MembershipId,
) -> Result<(Membership, RolePower), AccountError> {
    memberships::lock_members(tx, by.org).await?;
    let member = memberships::get(tx, by.org, id).await?;
    let power = power_or_none(tx, member.role).await?;
    may_give(by.power, power)?;
    Ok((member, power))
}

/// Names another owner as the one who answers for the organisation, where `member` did and is none any more. What they
/// offered ends. The members are locked.
async fn name_another_owner(tx: &mut Tx, member: &Membership) -> Result<(), AccountError> {
    let offer = ownership_offers::find_open(tx).await?;
    let is_theirs =
        |offer: OwnershipOffer| [offer.offered_by_id, offer.to_user_id].contains(&member.user_id);
    if offer.is_some_and(is_theirs) {
        ownership_offers::delete(tx).await?;
    }
    let mut organisation = organisations::get(tx).await?;
    if organisation.owner_id != member.user_id {
        return Ok(());
    }
    let others = memberships::list_other_owners(tx, member.org_id, member.user_id).await?;
    if let Some(next) = others.first() {
        organisation.owner_id = next.user_id;
        organisations::save(tx, &mut organisation).await?;
    }
    Ok(())
}

/// Refuses that the organisation's only owner who can sign in ceases to be one. The members are locked.
pub(super) async fn keep_an_owner(tx: &mut Tx, member: &Membership) -> Result<(), AccountError> {
    if member.role.is_owner() {
        let (org, user) = (member.org_id, member.user_id);
        may_drop_owner(memberships::count_other_owners(tx, org, user).await?)?;
    }
    Ok(())
}
