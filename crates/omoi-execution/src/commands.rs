//! Commands: what a person asks of a task, of a ticket or of a board.
//!
//! A command opens its write transaction in the scope of who asks, has the row moved by its rules and
//! commits.

mod cancel_task;
mod change_ticket;
mod comment_on_ticket;
mod create_ticket;
mod move_on_board;
mod steer_task;
mod ticket_error;

pub use cancel_task::cancel_task;
pub use change_ticket::{
    TicketMoveWish, TicketWish, add_ticket_dependency, block_ticket, move_ticket, progress_ticket,
    remove_ticket_dependency, unblock_ticket, update_ticket,
};
pub use comment_on_ticket::{CommentOfTicket, add_comment, delete_comment, edit_comment};
pub use create_ticket::{NewTicket, create_ticket, find_duplicates};
pub use move_on_board::{BoardMoveDone, BoardMoveWish, move_on_board, set_board_columns};
pub use steer_task::{MESSAGE_BYTES_MAX, steer_task};
pub use ticket_error::TicketCommandError;

use omoi_domain::id::HumanRef;
use omoi_domain::task::TaskStatus;
use omoi_store::StoreError;
use omoi_store::tasks::Task;

/// Why something asked of a task was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum TaskCommandError {
    /// A move that the task cannot make where it stands.
    #[error("{task} is {status}: {why}")]
    InvalidMove {
        /// The task.
        task: HumanRef,
        /// Where it stands.
        status: TaskStatus,
        /// Which tasks can make it.
        why: &'static str,
    },
    /// Nobody will work on the task any more.
    #[error("{task} is {status}")]
    IsOver {
        /// The task.
        task: HumanRef,
        /// How it ended.
        status: TaskStatus,
    },
    /// A message that is empty or too long.
    #[error("a message has 1 to {MESSAGE_BYTES_MAX} bytes")]
    InvalidMessage,
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

impl TaskCommandError {
    /// What `error` means for a person who wanted to move `task`, which was in `status`; `why` says which
    /// tasks can be moved so.
    pub fn of_move(task: &Task, status: TaskStatus, why: &'static str, error: StoreError) -> Self {
        match error {
            StoreError::Transition(_) => Self::InvalidMove {
                task: HumanRef::task(task.number),
                status,
                why,
            },
            other => Self::Store(other),
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::InvalidMove { .. } => {
                Some("`omoi task list` shows where each task stands".to_owned())
            }
            Self::IsOver { .. } | Self::InvalidMessage | Self::Store(_) => None,
        }
    }
}
