//! Transitions of merges, and the actions they decide on.

mod cancel;
mod checked;
mod conflict;
mod decided;
mod landed;
mod queue;
mod requeue;
mod resolution_lost;
mod restart;
mod settle;
mod take_up;
mod taken_sides;

pub use cancel::cancel_merge;
pub use checked::{MergedTree, TreeVerdict, check_merge, judge_merged_tree};
pub use conflict::{ConflictedWork, NewResolutionTask, turn_conflict_into_task};
pub use decided::{ConflictAnswer, ConflictQuestion, conflict_answer};
pub use landed::{ResolvedWork, close_after_landing, land_merge, land_resolved};
pub use queue::{MergeQueue, QueuedMerge, begin_merge, next_merge};
pub use requeue::requeue_merge;
pub use resolution_lost::Resolution;
pub use restart::{MergeTries, RESTARTS_MAX, restart_merge};
pub use settle::{LeftMerge, settle_merge};
pub use taken_sides::{SidesFault, TakenSides};

use crate::lifecycle::task::UnmetResult;
use crate::merge::MergeState;

/// One change of a merge, or of the task whose commits it lands. Actions are applied in order, in one
/// transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeAction {
    /// Moves it along its machine, and where its task's commits stand with it.
    Move {
        /// State after.
        to: MergeState,
        /// Why, where that is not plain.
        reason: Option<String>,
    },
    /// Keeps what stopped it.
    KeepError(String),
    /// Notes that it waits for something the machine lacks.
    WaitForMachine,
    /// Counts that it started over.
    CountRestart,
    /// Gives it all its tries again, and forgets what stopped it.
    ResetTries,
    /// Keeps the commit it makes, or made.
    KeepCommit(String),
    /// Keeps the paths in conflict.
    KeepConflicts(Vec<String>),
    /// Makes the task that resolves its conflict.
    AddResolutionTask(NewResolutionTask),
    /// Keeps what its task's own commits stand on from here on.
    KeepTaskBase(String),
    /// Sends its task back for another round.
    SendBack(UnmetResult),
    /// Closes the ticket of its task, if nothing else of it is open.
    CloseTicket,
    /// Blocks every open task that waits for its task, directly or not, or for what would have landed
    /// with it.
    BlockWaiting,
    /// Frees every task that was blocked because of its task and that no other lost task keeps.
    FreeDependents,
    /// Asks people what becomes of its conflict.
    AskPeople,
}

impl MergeAction {
    /// A move that explains itself.
    pub(crate) const fn move_to(to: MergeState) -> Self {
        Self::Move { to, reason: None }
    }

    /// A move for `reason`.
    pub(crate) fn move_because(to: MergeState, reason: impl Into<String>) -> Self {
        Self::Move {
            to,
            reason: Some(reason.into()),
        }
    }
}

/// Has a merge wait for a person, and with it whatever waits for its task.
fn wait_for_person(error: String) -> Vec<MergeAction> {
    vec![
        MergeAction::KeepError(error.clone()),
        MergeAction::move_because(MergeState::Manual, error),
        MergeAction::BlockWaiting,
    ]
}

/// Checks that every move of `actions` is in the machine's table, and where they end.
#[cfg(test)]
pub(crate) fn walk_moves(from: MergeState, actions: &[MergeAction]) -> MergeState {
    let mut at = from;
    for action in actions {
        if let MergeAction::Move { to, .. } = action {
            assert!(
                crate::machine::transition(at, *to).is_ok(),
                "{at} -> {to}: {actions:?}"
            );
            at = *to;
        }
    }
    at
}
