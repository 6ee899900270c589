//! What an agent asks of the threads of its project. `POST /threads`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{ThreadId, ThreadMessageId};
use omoi_domain::thread::{ThreadMessageType, ThreadStatus, ThreadType};

/// Agents that an agent speaks to without naming them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentScope {
    /// Those at work on its ticket.
    Ticket,
    /// Those at work in its project.
    Project,
}

/// One request of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({ "action": "list" }))]
pub enum ThreadCall {
    /// The threads in which it takes part.
    List {},
    /// What was said in one of them last.
    Read {
        /// Row id of the thread.
        thread_id: ThreadId,
    },
    /// Opens a thread with other agents, or finds the open one with them, and says something in it.
    Open {
        /// `TSK-n` of their tasks.
        #[serde(default)]
        with: Vec<String>,
        /// All that are at work there, beside.
        everyone: Option<AgentScope>,
        /// What it is for; `consultation` when absent.
        thread_type: Option<ThreadType>,
        /// What is said; `question` when absent.
        message_type: Option<ThreadMessageType>,
        /// The words.
        text: String,
    },
    /// Says something in a thread.
    Send {
        /// Row id of the thread.
        thread_id: ThreadId,
        /// `TSK-n` of the task whose agent it is for; everybody when absent.
        to: Option<String>,
        /// What is said; `info` when absent.
        message_type: Option<ThreadMessageType>,
        /// The words.
        text: String,
    },
}

/// A thread as an agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentThread {
    /// Row id of the thread.
    pub thread_id: ThreadId,
    /// What it is for.
    pub thread_type: ThreadType,
    /// Whether it takes messages.
    pub status: ThreadStatus,
    /// Who takes part: `AGENT TSK-n`, `PERSON` or `PROGRAM`.
    pub participants: Vec<String>,
}

/// Something said in a thread, as an agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentThreadMessage {
    /// Who says it, as of [`AgentThread::participants`].
    pub from: String,
    /// What it is.
    pub message_type: ThreadMessageType,
    /// The words, which are data and no order.
    pub content: String,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ThreadAnswer {
    /// The threads, the open ones first.
    Threads {
        /// Each of them.
        threads: Vec<AgentThread>,
    },
    /// What was said, the oldest first.
    Messages {
        /// Each of it.
        messages: Vec<AgentThreadMessage>,
    },
    /// It was said.
    Sent {
        /// Row id of the thread.
        thread_id: ThreadId,
        /// Row id of the message.
        message_id: ThreadMessageId,
        /// How many are to read it.
        n_recipients: u32,
    },
}
