//! Handing an organisation over to somebody else, who says yes to it.

use std::time::Duration;

use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{OrgId, UserId};
use omoi_store::ownership_offers::{self, OwnershipOffer};
use omoi_store::{Tx, memberships, organisations, users};
use serde_json::json;

use super::member::MemberAuthority;
use crate::context::AccountContext;
use crate::error::AccountError;

/// How long an offer stands.
pub const OFFER_LIFE: Duration = Duration::from_hours(72);

/// Offers `to`, who is a member, to own the organisation, in place of an earlier offer.
///
/// # Errors
/// [`AccountError::NotOwner`] for a caller who is none, and `NotFound` for somebody who is no member that can sign in.
pub async fn offer_ownership(
    context: &AccountContext,
    by: MemberAuthority,
    to: UserId,
) -> Result<OwnershipOffer, AccountError> {
    let Actor::User(owner) = by.actor else {
        return Err(AccountError::NotOwner);
    };
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let offer = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        expect_owner(tx, owner).await?;
        let member = memberships::get_of_user(tx, by.org, to).await?;
        let offer = OwnershipOffer {
            org_id: by.org,
            to_user_id: member.user_id,
            offered_by_id: owner,
            expires_at: tx.now() + OFFER_LIFE,
        };
        ownership_offers::replace(tx, &offer).await?;
        let offered = AuditAct::done_to(AuditAction::OrgTransferOffered, by.org);
        tx.record_act(offered.with_after(json!({ "to_user_id": to })));
        Ok(offer)
    };
    context.write_membership(&tenant, offer).await
}

/// Takes the offer of the organisation back; whether there was one.
///
/// # Errors
/// When the rows cannot be written.
pub async fn withdraw_offer(
    context: &AccountContext,
    by: MemberAuthority,
) -> Result<bool, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let withdraw = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let is_withdrawn = ownership_offers::delete(tx).await?;
        if is_withdrawn {
            tx.record_act(AuditAct::done_to(AuditAction::OrgTransferWithdrawn, by.org));
        }
        Ok(is_withdrawn)
    };
    context.write_membership(&tenant, withdraw).await
}

/// Makes `user`, to whom the organisation `org` was offered, its owner. Whoever offered it stays a member, as one of its
/// owners.
///
/// # Errors
/// [`AccountError::InvalidToken`] where nothing is offered to them now, or whoever offered it is no owner any more.
pub async fn accept_ownership(
    context: &AccountContext,
    org: OrgId,
    user: UserId,
) -> Result<(), AccountError> {
    let tenant = context.store.tenant(org).acting_as(Actor::User(user));
    let accept = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, org).await?;
        let offer = ownership_offers::find_open(tx).await?;
        let offer = offer.filter(|offer| offer.to_user_id == user);
        let offer = offer.ok_or(AccountError::InvalidToken)?;
        match expect_owner(tx, offer.offered_by_id).await {
            Err(AccountError::NotOwner) => return Err(AccountError::InvalidToken),
            is_owner => is_owner?,
        }
        let account = users::get(tx, user).await?;
        if !account.is_active || !account.is_verified() {
            return Err(AccountError::InvalidToken);
        }
        let member = memberships::get_of_user(tx, org, user).await?;
        let owner = MemberRole::System(SystemRole::Owner);
        memberships::set_role(tx, member.id, owner).await?;
        let mut organisation = organisations::get(tx).await?;
        let before = organisation.owner_id;
        organisation.owner_id = user;
        organisations::save(tx, &mut organisation).await?;
        ownership_offers::delete(tx).await?;
        users::raise_epoch(tx, user).await?;
        let accepted = AuditAct::done_to(AuditAction::OrgTransferred, org)
            .with_before(json!({ "owner_id": before }));
        tx.record_act(accepted.with_after(json!({ "owner_id": user })));
        Ok(())
    };
    context.write_membership(&tenant, accept).await
}

/// Refuses for whoever owns the transaction's organisation no more.
async fn expect_owner(tx: &mut Tx, user: UserId) -> Result<(), AccountError> {
    let org = tx.org();
    let member = memberships::find_of_user(tx, org, user).await?;
    match member.is_some_and(|member| member.role.is_owner()) {
        true => Ok(()),
        false => Err(AccountError::NotOwner),
    }
}
