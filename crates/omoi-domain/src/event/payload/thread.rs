//! What events of messages and threads carry.

use serde::{Deserialize, Serialize};

use crate::id::{MessageId, TaskId, ThreadId, ThreadMessageId, TicketId};
use crate::message::MessageType;
use crate::thread::{ThreadMessageType, ThreadStatus, ThreadType};

/// A message waits for an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageChange {
    /// Row id of the message.
    pub message_id: MessageId,
    /// Task whose agent is to read it.
    pub task_id: TaskId,
    /// Whether it is read as words or as an order to stop.
    pub message_type: MessageType,
    /// The first 100 characters.
    pub content: String,
}

/// A thread was opened, or came to other participants or to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadChange {
    /// Row id of the thread.
    pub thread_id: ThreadId,
    /// What it is for.
    pub thread_type: ThreadType,
    /// Where it stands.
    pub thread_status: ThreadStatus,
    /// The ticket that it is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// The task that it is about, where it is about one.
    pub task_id: Option<TaskId>,
}

/// Something was said in a thread, or read, or not read in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadMessageChange {
    /// Row id of what was said.
    pub thread_message_id: ThreadMessageId,
    /// Row id of the thread.
    pub thread_id: ThreadId,
    /// What it is.
    pub thread_message_type: ThreadMessageType,
    /// The ticket that the thread is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// The task that the thread is about, where it is about one.
    pub task_id: Option<TaskId>,
}
