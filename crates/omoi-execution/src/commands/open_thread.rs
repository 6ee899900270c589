//! Opens a thread.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_store::Tenant;
use omoi_store::threads::Thread;

use crate::threads::{NewThread, ThreadCommandError, open_wanted};

/// Opens the thread that is wanted, or finds the open one with the same participants about the same; whether it is new.
///
/// # Errors
/// [`ThreadCommandError`] for somebody who cannot take part.
pub async fn open_thread(
    tenant: &Tenant,
    new: NewThread,
) -> Result<(Thread, bool), ThreadCommandError> {
    let opened = tenant.write(CrashPoint::ThreadMoved, async |tx| {
        open_wanted(tx, new).await
    });
    opened.await.inspect(|(thread, is_new)| {
        info!(thread.id = %thread.id, is_new, "Opened a thread");
    })
}
