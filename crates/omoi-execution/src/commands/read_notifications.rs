//! A person takes note of what they are told.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{NotificationId, UserId};
use omoi_store::{StoreError, Tenant, Tx, notifications};

/// Notes that `user` knows of `ids`, or of all there are where none is named; writes nothing where nothing is unread.
///
/// # Errors
/// When the database cannot be written.
pub async fn read_notifications(
    tenant: &Tenant,
    user: UserId,
    ids: Option<&[NotificationId]>,
) -> Result<(), StoreError> {
    let unread = tenant.read(async |tx: &mut Tx| notifications::count_unread(tx, user).await);
    if unread.await? == 0 {
        return Ok(());
    }
    let read = tenant.write(CrashPoint::TicketChanged, async |tx| {
        notifications::mark_read(tx, user, ids).await
    });
    read.await.map(drop)
}
