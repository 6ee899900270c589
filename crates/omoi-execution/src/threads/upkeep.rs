//! What becomes of threads that nobody reads.

use omoi_domain::crash::CrashPoint;
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::thread::{IDLE_KEPT_FOR, ThreadStatus, UNREAD_KEPT_FOR, unread_text};
use omoi_store::messages::Message;
use omoi_store::{StoreError, Tenant, Tx, messages, tasks, thread_messages, threads};
use tracing::debug;

/// Takes back what no agent read in time, tells its senders, and ends threads in which nobody speaks. Writes nothing where
/// there is none.
///
/// # Errors
/// When the rows cannot be read or written.
pub(crate) async fn keep_threads_up(tenant: &Tenant) -> Result<(), StoreError> {
    let look = async |tx: &mut Tx| {
        let unread_before = tx.now() - UNREAD_KEPT_FOR;
        let idle_before = tx.now() - IDLE_KEPT_FOR;
        let unread = messages::list_unread(tx, unread_before).await?;
        let idle = threads::list_idle(tx, idle_before).await?;
        Ok::<_, StoreError>((unread, idle, idle_before))
    };
    let (unread, idle, idle_before) = tenant.read(look).await?;
    for message in unread {
        let take_back = async |tx: &mut Tx| take_unread_back(tx, &message).await;
        tenant.write(CrashPoint::ThreadMoved, take_back).await?;
        debug!(message.id = %message.id, "Took a message back that no agent read");
    }
    for thread in idle {
        let end = async |tx: &mut Tx| {
            let mut held = threads::hold_thread(tx, thread.id).await?;
            if held.status != ThreadStatus::Active || held.updated_at >= idle_before {
                return Ok(());
            }
            let to = ThreadStatus::Expired;
            threads::end_thread(tx, &mut held, to).await
        };
        tenant.write(CrashPoint::ThreadMoved, end).await?;
        debug!(thread.id = %thread.id, "Ended a thread in which nobody speaks");
    }
    Ok(())
}

/// Takes `unread` back; the agent that sent it is told, the others see it at the message.
async fn take_unread_back(tx: &mut Tx, unread: &Message) -> Result<(), StoreError> {
    if !messages::take_back(tx, unread.id).await? {
        return Ok(());
    }
    // What tells an agent of this is no message of a thread itself.
    let Some(delivery) = thread_messages::find_queued(tx, unread.id).await? else {
        return Ok(());
    };
    let message = thread_messages::get(tx, delivery.thread_message_id).await?;
    let thread = threads::get(tx, message.thread_id).await?;
    thread_messages::tell_unread(tx, &thread, &message);
    let Some(sender) = message.sender.as_task() else {
        return Ok(());
    };
    let task = tasks::get(tx, sender).await?;
    if task.status.is_final() {
        return Ok(());
    }
    let text = unread_text(thread.id, message.message_type);
    let kind = MessageType::AgentCollaboration;
    messages::queue(tx, &task, kind, &text, MessageSender::Thread).await?;
    Ok(())
}
