//! Closes a thread.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::ThreadId;
use omoi_domain::thread::{ThreadRefusal, ThreadStatus};
use omoi_store::threads::{self, Thread};
use omoi_store::{Tenant, Tx};

use crate::threads::ThreadCommandError;

/// Closes a thread: nothing is said in it any more.
///
/// # Errors
/// [`ThreadRefusal::Closed`] when it is over already.
pub async fn close_thread(tenant: &Tenant, id: ThreadId) -> Result<Thread, ThreadCommandError> {
    let closed = tenant.write(CrashPoint::ThreadMoved, async |tx: &mut Tx| {
        let mut thread = threads::hold_thread(tx, id).await?;
        if thread.status != ThreadStatus::Active {
            return Err(ThreadRefusal::Closed(thread.status).into());
        }
        threads::end_thread(tx, &mut thread, ThreadStatus::Resolved).await?;
        Ok::<_, ThreadCommandError>(thread)
    });
    closed.await.inspect(|thread: &Thread| {
        info!(thread.id = %thread.id, "Closed a thread");
    })
}
