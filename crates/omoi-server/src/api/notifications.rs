//! What the person who asks is told of by themselves, in all organisations that they reach.

mod count_unread;
mod list_notifications;
mod read_notifications;

use omoi_accounts::holder::CredentialHolder;
use omoi_domain::access::decision::OrganisationReach;
use omoi_domain::access::permission::Permission;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::UserId;
use omoi_protocol::api::UnreadCount;
use omoi_store::invitations::{self, Invitation};
use omoi_store::{StoreError, Tx, notifications, users};

use super::ApiSurface;
use super::caller::expect_verified;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_notifications::list_notifications,
            EmailNotVerified
        ))
        .add(operation!(count_unread::count_unread, EmailNotVerified))
        .add(operation!(
            read_notifications::read_notifications,
            EmailNotVerified
        ))
}

/// The person who asks, whose mail address is theirs: invitations are to addresses.
fn expect_person(holder: &CredentialHolder) -> Result<UserId, ApiError> {
    expect_verified(holder)?;
    let user = holder.user_id();
    user.ok_or_else(|| ApiError::new(ErrorCode::Forbidden, "this credential is no person's"))
}

/// Where the caller may read of what they are told: notifications are about tickets.
fn told_reaches(holder: &CredentialHolder) -> impl Iterator<Item = &OrganisationReach> {
    let may_read =
        |reach: &&OrganisationReach| reach.permissions_in(None).contains(Permission::TicketRead);
    holder.reaches.iter().filter(may_read)
}

/// Open invitations to the address of `user`; a key is told of none, since none can be accepted with it.
async fn own_invitations(
    surface: &ApiSurface,
    holder: &CredentialHolder,
    user: UserId,
) -> Result<Vec<Invitation>, ApiError> {
    if holder.reaches.iter().any(|reach| reach.key.is_some()) {
        return Ok(Vec::new());
    }
    let system = surface.accounts.store.system();
    let read = async |tx: &mut Tx| -> Result<_, StoreError> {
        match users::get(tx, user).await?.email {
            Some(email) => invitations::list_of_address(tx, &email).await,
            None => Ok(Vec::new()),
        }
    };
    Ok(system.read(read).await?)
}

/// How much the caller took no note of.
async fn unread_count(
    surface: &ApiSurface,
    holder: &CredentialHolder,
    user: UserId,
) -> Result<UnreadCount, ApiError> {
    let invitations = own_invitations(surface, holder, user).await?.len();
    let mut unread_count = u32::try_from(invitations).unwrap_or(u32::MAX);
    for reach in told_reaches(holder) {
        let rows = surface.rows_of(reach.org, holder.actor);
        let counted = rows.read(async |tx: &mut Tx| notifications::count_unread(tx, user).await);
        unread_count = unread_count.saturating_add(counted.await?);
    }
    Ok(UnreadCount { unread_count })
}
