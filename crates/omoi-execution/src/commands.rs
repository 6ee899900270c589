//! Commands: what a person asks of a task, of a ticket or of a board.
//!
//! A command opens its write transaction in the scope of who asks, has the row moved by its rules and
//! commits.

mod cancel_task;
mod change_dependencies;
mod change_ticket;
mod check_gate;
mod clear_left_sandboxes;
mod close_thread;
mod comment_on_ticket;
mod create_ticket;
mod decide_approval;
mod decide_conflict;
mod detect_blocking;
mod edit_task;
mod end_timed_out;
mod fail_task;
mod judge_result;
mod keyed_request;
mod link_commit;
mod link_tickets;
mod look_at_move;
mod move_on_board;
mod note_attempt;
mod open_thread;
mod operation;
mod read_notifications;
mod read_thread_message;
mod send_thread_message;
mod set_result_criteria;
mod set_task_timeout;
mod steer_task;
mod store_file;
mod submit_result;
mod ticket_error;
mod update_ticket_context;

pub use cancel_task::cancel_task;
pub use change_dependencies::{DependencyEdit, change_dependencies, find_cycle};
pub use change_ticket::{
    TicketMoveWish, TicketWish, add_ticket_dependency, block_ticket, move_ticket, progress_ticket,
    remove_ticket_dependency, unblock_ticket, update_ticket,
};
pub use check_gate::{ARTIFACT_BYTES_MAX, give_artifact, validate_gate};
pub use clear_left_sandboxes::clear_left_sandboxes;
pub use close_thread::close_thread;
pub use comment_on_ticket::{CommentOfTicket, add_comment, delete_comment, edit_comment};
pub use create_ticket::{NewTicket, create_ticket, find_duplicates};
pub use decide_approval::{
    PersonSaid, answer_approval, decide_output, decide_ticket, expire_approval,
};
pub use decide_conflict::take_conflict_sides;
pub(crate) use detect_blocking::has_tickets_at_work;
pub use detect_blocking::{StallSearch, StalledTicket, StalledTickets, detect_blocking};
pub use edit_task::{TaskPatch, edit_task};
pub use end_timed_out::{
    TimedAttempt, attempt_limit, end_timed_out, overdue_attempts, timed_attempt,
};
pub use fail_task::fail_task;
pub use judge_result::{judge_task_result, judge_workflow_result};
pub use keyed_request::{claim_request, give_up_request, keep_answer, note_shown};
pub use link_commit::link_commit;
pub use link_tickets::{LINKED_TICKETS_MAX, link_tickets, unlink_tickets};
pub use look_at_move::{TicketOutlook, look_at_move};
pub use move_on_board::{BoardMoveDone, BoardMoveWish, move_on_board, set_board_columns};
pub use note_attempt::{
    AttemptNoteError, CONVERSATION_CHARS_MAX, register_conversation, tag_attempt,
};
pub use open_thread::open_thread;
pub use operation::{begin_operation, end_left_operation, end_operation, renew_operation};
pub use read_notifications::read_notifications;
pub use read_thread_message::read_thread_message;
pub use send_thread_message::send_thread_message;
pub use set_result_criteria::set_result_criteria;
pub use set_task_timeout::set_task_timeout;
pub use steer_task::{MESSAGE_BYTES_MAX, steer_task};
pub use store_file::{FileCommandError, remove_file, store_file};
pub use submit_result::{submit_task_result, submit_workflow_result};
pub use ticket_error::TicketCommandError;
pub use update_ticket_context::update_ticket_context;

use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::task::TaskEditRefusal;
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
    /// An agent or the platform works on the task as it is.
    #[error("{task} is {status}: it changes while nobody works on it")]
    AtWork {
        /// The task.
        task: HumanRef,
        /// Where it stands.
        status: TaskStatus,
    },
    /// The change was meant for another version of the task.
    #[error("{} was changed meanwhile", HumanRef::task(.0.number))]
    StaleVersion(Box<Task>),
    /// Tasks would wait for each other.
    #[error("tasks would wait for each other: {}", path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" before "))]
    CircularDependency {
        /// Each comes before the next; the first is told again at the end.
        path: Vec<HumanRef>,
    },
    /// The commits of that task do not come to the branch that this one is cut from.
    #[error("{task} is of another spec, whose commits this task does not get")]
    OtherSpec {
        /// The task that was to come first.
        task: HumanRef,
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

    /// Why `task` is not changed.
    fn of_edit(task: &Task, refusal: TaskEditRefusal) -> Self {
        let (number, status) = (HumanRef::task(task.number), task.status);
        match refusal {
            TaskEditRefusal::AtWork => Self::AtWork {
                task: number,
                status,
            },
            TaskEditRefusal::IsOver => Self::IsOver {
                task: number,
                status,
            },
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::InvalidMove { .. } => {
                Some("`omoi task list` shows where each task stands".to_owned())
            }
            Self::AtWork { .. } => {
                Some("wait until its attempt is over, or tell its agent: `omoi steer`".to_owned())
            }
            Self::IsOver { .. }
            | Self::StaleVersion(_)
            | Self::CircularDependency { .. }
            | Self::OtherSpec { .. }
            | Self::InvalidMessage
            | Self::Store(_) => None,
        }
    }
}
