//! Notes that somebody knows what is said in a thread.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::ThreadMessageId;
use omoi_domain::thread::ThreadRefusal;
use omoi_store::thread_messages::{self, ThreadMessage};
use omoi_store::{Tenant, Tx, threads};

use crate::threads::{ThreadCommandError, current_speaker};

/// Notes that whoever acts knows a message that is for them; doing it twice changes nothing.
///
/// # Errors
/// [`ThreadRefusal::NotParticipant`] where it is for others.
pub async fn read_thread_message(
    tenant: &Tenant,
    id: ThreadMessageId,
) -> Result<ThreadMessage, ThreadCommandError> {
    let read = tenant.write(CrashPoint::ThreadMoved, async |tx: &mut Tx| {
        let message = thread_messages::get(tx, id).await?;
        let thread = threads::get(tx, message.thread_id).await?;
        let reader = current_speaker(tx).await?;
        let deliveries = thread_messages::deliveries_of(tx, id).await?;
        if deliveries
            .iter()
            .all(|delivery| delivery.participant != reader)
        {
            return Err(ThreadRefusal::NotParticipant.into());
        }
        thread_messages::mark_read(tx, &thread, &message, reader).await?;
        Ok::<_, ThreadCommandError>(message)
    });
    read.await
}
