//! `omoi steer`.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::message::MessageSender;
use omoi_protocol::api::SteerTask;
use omoi_store::{Tenant, messages, tasks};

use super::TaskCommandError;

/// Bytes of a message to an agent.
pub const MESSAGE_BYTES_MAX: usize = 10 << 10;

/// Queues a message for whoever works on a task, now or next.
///
/// # Errors
/// [`TaskCommandError::IsOver`], [`TaskCommandError::InvalidMessage`].
pub async fn steer_task(
    tenant: &Tenant,
    id: TaskId,
    message: &SteerTask,
) -> Result<(), TaskCommandError> {
    let SteerTask {
        message_type,
        content,
    } = message;
    if content.trim().is_empty() || content.len() > MESSAGE_BYTES_MAX {
        return Err(TaskCommandError::InvalidMessage);
    }
    let queued = tenant.write(CrashPoint::MessagesMoved, async |tx| {
        let task = tasks::get(tx, id).await?;
        if task.status.is_final() {
            return Err(TaskCommandError::IsOver {
                task: HumanRef::task(task.number),
                status: task.status,
            });
        }
        let message_type = message_type.message_type();
        messages::queue(tx, &task, message_type, content, MessageSender::User).await?;
        Ok(())
    });
    queued.await?;
    info!(task.id = %id, ?message_type, bytes = content.len(), "Queued a message for the agent of `{id}`");
    Ok(())
}
