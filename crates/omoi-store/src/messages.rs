//! Messages to running agents.

use omoi_domain::event::{Event, MessageChange};
use omoi_domain::id::{AttemptId, MessageId, OrgId, TaskId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tasks::Task;
use crate::tx::Tx;

row! {
    /// A message that waits for the agent of a task.
    Message in "messages" as "message" {
        /// Its id.
        id: MessageId,
        /// Its organisation.
        org_id: OrgId,
        /// The task steered.
        task_id: TaskId,
        /// What it is.
        message_type: MessageType,
        /// Its text.
        content: String,
        /// Who sent it.
        sender: MessageSender,
        /// When it was sent.
        created_at: Timestamp,
        /// When an agent had it.
        acked_at: Option<Timestamp>,
        /// The attempt that had it.
        acked_by: Option<AttemptId>,
        /// When it was taken back, as no agent had read it.
        expired_at: Option<Timestamp>,
    }
}

/// Queues a message for whoever works on `task`, now or next.
///
/// # Errors
/// When the database cannot be written.
pub async fn queue(
    tx: &mut Tx,
    task: &Task,
    message_type: MessageType,
    content: &str,
    sender: MessageSender,
) -> Result<Message, StoreError> {
    let message = Message {
        id: tx.new_id(),
        org_id: tx.org(),
        task_id: task.id,
        message_type,
        content: content.to_owned(),
        sender,
        created_at: tx.now(),
        acked_at: None,
        acked_by: None,
        expired_at: None,
    };
    tx.insert(&message).await?;
    let event = Event::MessageQueued(MessageChange {
        message_id: message.id,
        task_id: task.id,
        message_type: message.message_type,
        content: content.chars().take(100).collect(),
    });
    tx.emit(Some(task.project_id), Some(task.spec_id), event);
    Ok(message)
}

/// Messages that somebody has yet to read, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn open(tx: &mut Tx, task: TaskId) -> Result<Vec<Message>, StoreError> {
    tx.all(
        "task_id = $2 and acked_at is null and expired_at is null order by created_at, id",
        args![task],
    )
    .await
}

/// Notes that `attempt` has a message.
///
/// # Errors
/// When the database cannot be written.
pub async fn ack(tx: &mut Tx, id: MessageId, attempt: AttemptId) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute(
        "update messages set acked_at = $3, acked_by = $4
         where org_id = $1 and id = $2 and acked_at is null",
        args![id, now, attempt],
    )
    .await?;
    Ok(())
}

/// Messages of threads that were queued before `before` and that no agent has read, oldest first, at most 100.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_unread(tx: &mut Tx, before: Timestamp) -> Result<Vec<Message>, StoreError> {
    tx.all(
        "message_type = 'agent_collaboration' and acked_at is null and expired_at is null
         and created_at < $2 order by created_at, id limit 100",
        args![before],
    )
    .await
}

/// Takes a message back that no agent has read; whether it was this that took it.
///
/// # Errors
/// When the database cannot be written.
pub async fn take_back(tx: &mut Tx, id: MessageId) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_taken = tx
        .execute(
            "update messages set expired_at = $3
             where org_id = $1 and id = $2 and acked_at is null and expired_at is null",
            args![id, now],
        )
        .await?;
    Ok(n_taken == 1)
}

/// Who asked for the stop that `attempt` tells of: the sender of an interrupt it had, or of one that
/// nobody acknowledged.
///
/// # Errors
/// When the database cannot be read.
pub async fn interrupted_by(
    tx: &mut Tx,
    task: TaskId,
    attempt: AttemptId,
) -> Result<Option<MessageSender>, StoreError> {
    let found: Option<Message> = tx
        .find(
            "task_id = $2 and message_type = 'interrupt' and (acked_by = $3 or acked_at is null)
             order by created_at desc, id desc",
            args![task, attempt],
        )
        .await?;
    Ok(found.map(|message| message.sender))
}
