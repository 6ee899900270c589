//! Invitations to an organisation.

use std::time::Duration;

use omoi_domain::access::grant::{PrivilegeEscalation, may_give};
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::MemberRole;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{InvitationId, MembershipId, OrgId, UserId};
use omoi_store::invitations::{self, Invitation};
use omoi_store::{Tx, memberships, organisations, users};
use secrecy::SecretString;
use serde_json::json;

use super::limits::{CountedTry, count_tries};
use super::mail_plan::{MailSubject, plan_mail};
use super::member::{MemberAuthority, join_organisation};
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::{power_or_none, role_power};
use crate::secret_token::{FreshSecret, secret_digest};

/// How long an invitation can be followed.
const INVITATION_LIFE: Duration = Duration::from_hours(7 * 24);

/// How the token of an invitation comes to whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationWay {
    /// By a mail, whose sender makes it.
    Mailed,
    /// By whoever runs the platform, who is shown it once.
    Printed,
}

/// An invitation that was made.
#[derive(Debug)]
pub struct MadeInvitation {
    /// Its row.
    pub invitation: Invitation,
    /// Its token, where it is printed.
    pub token: Option<SecretString>,
}

/// Invites whoever has the address `to`, in place of an open invitation there.
///
/// # Errors
/// [`AccountError::Escalation`]; [`AccountError::Limited`] where the address was sent as many mails as it may be, or
/// the organisation sent as many as it may.
pub async fn invite_member(
    context: &AccountContext,
    by: MemberAuthority,
    (to, role): (&MailAddress, MemberRole),
    way: InvitationWay,
) -> Result<MadeInvitation, AccountError> {
    let fresh = FreshSecret::draw_secret("", &context.rng);
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let invite = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        may_give(by.power, role_power(tx, role).await?)?;
        let invitation = Invitation {
            id: tx.new_id(),
            org_id: by.org,
            email: to.as_str().to_owned(),
            role,
            invited_by_id: inviter_of(by.actor)?,
            digest: fresh.digest.clone(),
            expires_at: tx.now() + INVITATION_LIFE,
            accepted_at: None,
            revoked_at: None,
        };
        let invited = AuditAct::done_to(AuditAction::MemberInvited, invitation.id);
        tx.record_act(invited.with_after(json!({
            "email": invitation.email, "role_id": invitation.role.role_id(),
        })));
        invitations::replace(tx, &invitation).await?;
        tx.note_made(invitation.id.as_uuid());
        if way == InvitationWay::Mailed {
            // Whoever is invited again and again did not ask for any of it.
            let tries = [
                CountedTry::of_subject(LimitScope::MailTo, to.as_str()),
                CountedTry::of_subject(LimitScope::MailFromOrganisation, &by.org.to_string()),
            ];
            count_tries(tx, &tries).await??;
            plan_mail(tx, to, MailSubject::Invitation(invitation.id)).await?;
        }
        Ok(invitation)
    };
    let refused = AuditAct::denied_to(AuditAction::MemberInvited, by.org)
        .with_after(json!({ "email": to.as_str(), "role_id": role.role_id() }));
    let invited = tenant.write(CrashPoint::AccountChanged, invite).await;
    let invitation = context.audit_refusal(&tenant, refused, invited).await?;
    context.mails.nudge();
    let token = (way == InvitationWay::Printed).then_some(fresh.secret);
    Ok(MadeInvitation { invitation, token })
}

/// Takes open invitations of `email` back; how many there were.
///
/// # Errors
/// When the rows cannot be written.
pub async fn revoke_invitation(
    context: &AccountContext,
    by: MemberAuthority,
    email: &MailAddress,
) -> Result<u64, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let revoke = async |tx: &mut Tx| -> Result<u64, AccountError> {
        let n_revoked = invitations::cancel(tx, by.org, email).await?;
        if n_revoked > 0 {
            let revoked = AuditAct::done_to(AuditAction::InvitationRevoked, by.org);
            tx.record_act(revoked.with_before(json!({ "email": email.as_str() })));
        }
        Ok(n_revoked)
    };
    tenant.write(CrashPoint::AccountChanged, revoke).await
}

/// Takes the open invitation `id` back; whether it was there.
///
/// # Errors
/// When the rows cannot be written.
pub async fn revoke_one_invitation(
    context: &AccountContext,
    by: MemberAuthority,
    id: InvitationId,
) -> Result<bool, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let revoke = async |tx: &mut Tx| -> Result<bool, AccountError> {
        let Some(email) = invitations::cancel_one(tx, by.org, id).await? else {
            return Ok(false);
        };
        let revoked = AuditAct::done_to(AuditAction::InvitationRevoked, id);
        tx.record_act(revoked.with_before(json!({ "email": email })));
        Ok(true)
    };
    tenant.write(CrashPoint::AccountChanged, revoke).await
}

/// Makes `user` a member by the invitation that `token` came with, once. The address must be theirs, and verified, and
/// whoever invited must still be able to give what it gives.
///
/// # Errors
/// [`AccountError::InvalidToken`], also for somebody else's invitation.
pub async fn accept_invitation(
    context: &AccountContext,
    user: UserId,
    token: &str,
) -> Result<(OrgId, MembershipId), AccountError> {
    let digest = secret_digest(token);
    let org = organisation_of(context, &digest).await?;
    let accept = async |tx: &mut Tx| -> Result<_, AccountError> {
        let invitation = lock_open_invitation(tx, org, &digest).await?;
        // Nobody erases the account meanwhile.
        users::lock(tx, user).await?;
        let user = users::get(tx, user).await?;
        let is_theirs =
            user.verified_at.is_some() && user.email.as_ref() == Some(&invitation.email);
        if !is_theirs || !user.is_active {
            return Err(AccountError::InvalidToken);
        }
        join_invited(tx, &invitation, user.id).await
    };
    let tenant = context.store.tenant(org).acting_as(Actor::User(user));
    let joined = context.write_membership(&tenant, accept).await?;
    Ok((org, joined))
}

/// Where the invitation with that digest leads.
pub(super) async fn organisation_of(
    context: &AccountContext,
    digest: &str,
) -> Result<OrgId, AccountError> {
    let find = async |tx: &mut Tx| invitations::find(tx, digest).await;
    let found = context.store.system().read(find).await?;
    Ok(found.ok_or(AccountError::InvalidToken)?.org_id)
}

/// The invitation to `org` with that digest, which can be followed, and nobody else does meanwhile.
pub(super) async fn lock_open_invitation(
    tx: &mut Tx,
    org: OrgId,
    digest: &str,
) -> Result<Invitation, AccountError> {
    // The organisation's members before the invitation: whoever invites locks them in that order.
    memberships::lock_members(tx, org).await?;
    let invitation = invitations::lock(tx, digest).await?;
    let now = tx.now();
    let invitation = invitation.filter(|invitation| invitation.is_open(now));
    let invitation = invitation.ok_or(AccountError::InvalidToken)?;
    match is_backed(tx, &invitation).await? {
        true => Ok(invitation),
        false => Err(AccountError::InvalidToken),
    }
}

/// Makes `user` what the invitation says. An owner answers for what the user of a laptop did: nobody else can sign in
/// there.
pub(super) async fn join_invited(
    tx: &mut Tx,
    invitation: &Invitation,
    user: UserId,
) -> Result<MembershipId, AccountError> {
    invitations::set_accepted(tx, invitation.id).await?;
    let joined = join_organisation(tx, invitation.org_id, user, invitation.role).await?;
    if invitation.role.is_owner() {
        let mut organisation = organisations::get(tx).await?;
        if organisation.owner_id == UserId::LOCAL {
            organisation.owner_id = user;
            organisations::save(tx, &mut organisation).await?;
            let transferred = AuditAct::done_to(AuditAction::OrgTransferred, organisation.id);
            let transferred = transferred.with_before(json!({ "owner_id": UserId::LOCAL }));
            tx.record_act(transferred.with_after(json!({ "owner_id": user })));
        }
    }
    Ok(joined)
}

/// Whether whoever invited may still invite, and give what the invitation gives now.
async fn is_backed(tx: &mut Tx, invitation: &Invitation) -> Result<bool, AccountError> {
    let Some(inviter) = invitation.invited_by_id else {
        return Ok(true);
    };
    let membership = memberships::find_of_user(tx, invitation.org_id, inviter).await?;
    let Some(membership) = membership else {
        return Ok(false);
    };
    let own = power_or_none(tx, membership.role).await?;
    let given = role_power(tx, invitation.role).await?;
    Ok(users::get(tx, inviter).await?.is_active
        && own.permissions.contains(Permission::OrgMembersWrite)
        && may_give(own, given).is_ok())
}

/// The inviter that an invitation names; none for the operator. No key gives memberships.
fn inviter_of(actor: Actor) -> Result<Option<UserId>, PrivilegeEscalation> {
    match actor {
        Actor::User(user) => Ok(Some(user)),
        Actor::System => Ok(None),
        Actor::Key(_) | Actor::Agent(_) => {
            Err(PrivilegeEscalation::Lacks(Permission::OrgMembersWrite))
        }
    }
}
