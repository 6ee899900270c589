//! Says something in a thread.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, ThreadId};
use omoi_store::thread_messages::ThreadMessage;
use omoi_store::{StoreError, Tenant, Tx, threads};

use crate::threads::{ThreadCommandError, ThreadSpeech, say_in_thread};

/// Says something in a thread; a person who does comes to take part in it. A caller of one project is told of no others.
///
/// # Errors
/// [`ThreadCommandError`] where it is not said.
pub async fn send_thread_message(
    tenant: &Tenant,
    (id, only): (ThreadId, Option<ProjectId>),
    speech: &ThreadSpeech,
) -> Result<ThreadMessage, ThreadCommandError> {
    let said = tenant.write(CrashPoint::ThreadMoved, async |tx: &mut Tx| {
        let thread = threads::hold_thread(tx, id).await?;
        if only.is_some_and(|only| only != thread.project_id) {
            let (what, key) = ("thread", id.to_string());
            return Err(StoreError::NotFound { what, key }.into());
        }
        say_in_thread(tx, thread, speech).await
    });
    said.await.inspect(|message: &ThreadMessage| {
        info!(thread.id = %id, message.id = %message.id, "Said something in a thread");
    })
}
