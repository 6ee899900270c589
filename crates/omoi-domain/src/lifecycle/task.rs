//! Transitions of tasks, and the actions they decide on.

mod add_by_person;
mod assign;
mod cancel;
mod checked;
mod depend;
mod discover;
mod disk_stopped;
mod edit;
mod fail;
mod fail_by_person;
mod over_budget;
mod prerequisites;
mod provider_failed;
mod reopen;
mod requeue;
mod retry_by_person;
mod run;
mod send_back;
mod start_checks;
mod start_failed;
mod start_postponed;
mod stuck;
mod submit;
mod wait_for_person;

pub use add_by_person::{
    ADDED_TASKS_MAX, ADDED_WORK_PREFIX, AddedTask, AddedTaskRefusal, AddedWorkFacts, add_by_person,
};
pub use assign::assign_task;
pub use cancel::{cancel_task, end_resolution, retire_task};
pub use checked::{ChecksResult, ValidatedTask, conclude_checks};
pub use depend::{EdgeChange, EdgeFacts, EdgeRefusal, EdgeTask};
pub use discover::{
    DiscoveredTask, DiscoveryFacts, DiscoveryProof, DiscoveryStep, ReportedWork, judge_discovery,
};
pub use disk_stopped::{DiskStoppedTask, disk_stopped_task};
pub use edit::{TaskEditRefusal, expect_idle_task, expect_open_task};
pub use fail::{TaskFailure, fail_task};
pub use fail_by_person::fail_by_person;
pub use over_budget::block_over_budget;
pub use prerequisites::{DependentChange, DependentTask, TaskGraph, TaskNode};
pub use provider_failed::{ProviderFailure, provider_failed};
pub use reopen::reopen_task;
pub use requeue::requeue_task;
pub use retry_by_person::{OpenTaskMerge, RetriedTask, RetryStep, give_up_conflict, retry_steps};
pub use run::run_task;
pub use send_back::{UnmetResult, send_back_task};
pub use start_checks::{CHECK_TRIES_MAX, ChecksStart, PendingChecks, start_checks, take_up_checks};
pub use start_failed::{FailedStart, StartFailure, judge_failed_start};
pub use start_postponed::{PostponedTask, postpone_task};
pub use stuck::{StuckTask, next_stuck};
pub use submit::submit_task;
pub use wait_for_person::{wait_for_answer, wait_for_person};

use crate::block::TaskBlock;
use crate::retry::ErrorClass;
use crate::task::{TaskRevision, TaskStatus};
use crate::time::Timestamp;

/// One change of a task. Actions are applied in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskAction {
    /// Moves it along its machine; the event carries `reason`.
    Move {
        /// Status after.
        to: TaskStatus,
        /// Why, where that is not plain.
        reason: Option<String>,
    },
    /// Fails it for good, which is an event of its own.
    FailPermanently {
        /// Why.
        reason: String,
    },
    /// Has it wait for something.
    Block {
        /// For what.
        block: TaskBlock,
        /// The same in words.
        reason: String,
    },
    /// Keeps what it is sent back for, and raises it above ordinary work.
    KeepRevision(TaskRevision),
    /// Keeps what its last attempt failed of.
    KeepError {
        /// The class of the error, where an attempt failed.
        class: Option<ErrorClass>,
        /// What is shown of it.
        message: String,
    },
    /// Forgets what it was sent back for and what it failed of.
    ClearFaults,
    /// Keeps the commit that its own work stands on from here on.
    KeepBase(String),
    /// Counts a round.
    SetRound(u32),
    /// Counts a retry.
    CountRetry,
    /// Gives it all its retries again.
    ResetRetries,
    /// Lets its spec be done without it.
    DropNeed,
    /// Lets it begin no earlier.
    WaitUntil(Timestamp),
    /// Queues the merge of its head.
    QueueMerge,
    /// Takes its landed work back for a round; its commits stay in the branch.
    TakeBackLanded {
        /// Why.
        reason: String,
    },
    /// Opens its ticket again, if that is closed.
    ReopenTicket,
    /// Blocks every open task that waits for it, directly or not.
    BlockDependents,
    /// Frees every task that was blocked because of it and that no other lost task keeps.
    FreeDependents,
    /// As [`TaskAction::BlockDependents`], with those that wait for what would have landed with it.
    BlockWaiting,
}

impl TaskAction {
    /// A move for `reason`.
    pub(crate) fn moved(to: TaskStatus, reason: impl Into<String>) -> Self {
        Self::Move {
            to,
            reason: Some(reason.into()),
        }
    }

    /// A move that explains itself.
    pub(crate) const fn move_to(to: TaskStatus) -> Self {
        Self::Move { to, reason: None }
    }
}
