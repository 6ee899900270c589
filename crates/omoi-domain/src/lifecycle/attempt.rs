//! Transitions of attempts: how one that did not end by itself ends, and what its task does next.

mod exit;
mod follow_up;
mod reap;

pub use exit::{SandboxExit, StoppingLimit, sandbox_exited, start_failed};
pub use follow_up::{ReportedEnd, TaskFollowUp, after_loss, after_report};
pub use reap::{AttemptLiveness, WorkerTimeouts, reap_attempt};

use crate::attempt::{AttemptState, AttemptStopReason};
use crate::retry::ErrorClass;

/// How the platform ends an attempt whose worker does not end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptLoss {
    /// The state it ends in.
    pub state: AttemptState,
    /// Why it ended.
    pub stop_reason: AttemptStopReason,
    /// What kind of error it is.
    pub class: ErrorClass,
    /// What happened, with every cause.
    pub message: String,
    /// Whether it counts as one of the task's retries.
    pub counts: bool,
}

/// The state that an attempt in `from` ends in when `to` is what it is told to end in: one whose worker
/// never started cannot have been cut short, it failed.
pub const fn ended_state(from: AttemptState, to: AttemptState) -> AttemptState {
    match (from, to) {
        (AttemptState::Pending | AttemptState::Starting, AttemptState::Incomplete) => {
            AttemptState::Failed
        }
        (_, to) => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ran_was_not_cut_short() {
        use AttemptState::{Failed, Incomplete, Interrupted, Lost, Pending, Running, Starting};
        for (from, to, expected) in [
            (Pending, Incomplete, Failed),
            (Starting, Incomplete, Failed),
            (Running, Incomplete, Incomplete),
            (Starting, Interrupted, Interrupted),
            (Pending, Lost, Lost),
        ] {
            assert_eq!(ended_state(from, to), expected, "{from} {to}");
            assert!(crate::machine::transition(from, expected).is_ok());
        }
    }
}
