//! Invitations to an organisation.

use std::time::Duration;

use omoi_domain::access::grant::may_give;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::role::MemberRole;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{MembershipId, UserId};
use omoi_store::invitations::{self, Invitation};
use omoi_store::{Tx, memberships, users};

use super::member::{MemberAuthority, join_organisation};
use super::{AccountMail, AccountMailKind};
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::role_power;
use crate::secret_token::{FreshSecret, secret_digest};

/// How long an invitation can be followed.
const INVITATION_LIFE: Duration = Duration::from_hours(7 * 24);

/// Invites whoever has the address `to`, in place of an open invitation there.
///
/// # Errors
/// [`AccountError::Escalation`].
pub async fn invite_member(
    context: &AccountContext,
    by: MemberAuthority,
    to: MailAddress,
    role: MemberRole,
) -> Result<AccountMail, AccountError> {
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
            digest: fresh.digest.clone(),
            expires_at: tx.now() + INVITATION_LIFE,
            accepted_at: None,
            revoked_at: None,
        };
        Ok(invitations::replace(tx, &invitation).await?)
    };
    tenant.write(CrashPoint::AccountChanged, invite).await?;
    let kind = AccountMailKind::Invitation(fresh.secret);
    Ok(AccountMail { to, kind })
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
    let revoke = async |tx: &mut Tx| invitations::cancel(tx, by.org, email).await;
    Ok(tenant.write(CrashPoint::AccountChanged, revoke).await?)
}

/// Makes `user` a member by the invitation that `token` came with, once. The address must be theirs, and verified.
///
/// # Errors
/// [`AccountError::InvalidToken`], also for somebody else's invitation.
pub async fn accept_invitation(
    context: &AccountContext,
    user: UserId,
    token: &str,
) -> Result<MembershipId, AccountError> {
    let accept = async |tx: &mut Tx| -> Result<_, AccountError> {
        let invitation = invitations::lock(tx, &secret_digest(token)).await?;
        let now = tx.now();
        let invitation = invitation.filter(|invitation| invitation.is_open(now));
        let invitation = invitation.ok_or(AccountError::InvalidToken)?;
        let user = users::get(tx, user).await?;
        let is_theirs = user.verified_at.is_some() && user.email == Some(invitation.email);
        if !is_theirs || !user.is_active {
            return Err(AccountError::InvalidToken);
        }
        memberships::lock_members(tx, invitation.org_id).await?;
        invitations::set_accepted(tx, invitation.id).await?;
        Ok(join_organisation(tx, invitation.org_id, user.id, invitation.role).await?)
    };
    context.write_revocation(accept).await
}
