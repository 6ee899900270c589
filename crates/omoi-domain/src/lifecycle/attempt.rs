//! Transitions of attempts: how one that did not end by itself ends, and what its task does next.

mod begin;
mod exit;
mod follow_up;
mod lost;
mod platform_end;
mod reap;
mod reported;
mod sandbox_gone;
mod submission;
mod time_limit;
mod worker_started;

pub use begin::begin_attempt;
pub use exit::{SandboxExit, StoppingLimit, sandbox_exited, start_failed, start_postponed};
pub use follow_up::{ReportedEnd, TaskFollowUp, after_loss, after_report};
pub use lost::end_lost;
pub use platform_end::{RunEnding, end_platform_run};
pub use reap::{
    AttemptHolder, AttemptLiveness, TaskHolder, WorkerTimeouts, is_called_off, reap_attempt,
};
pub use reported::{ReportedAttempt, end_reported};
pub use sandbox_gone::{LeftSandbox, SandboxStep, reap_sandbox, sandbox_gone};
pub use submission::{
    Submission, SubmissionFault, SubmissionVerdict, SubmittedWork, judge_submission,
};
pub use time_limit::AttemptTime;
pub use worker_started::worker_started;

use crate::attempt::{AttemptState, AttemptStopReason};
use crate::retry::ErrorClass;
use crate::sandbox::{SandboxRung, SandboxState};

/// One change of an attempt, or of its sandbox. Actions are applied in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptAction {
    /// Keeps which kind of sandbox it has.
    KeepRung(SandboxRung),
    /// Keeps how it ended.
    KeepEnd {
        /// Why it ended.
        stop_reason: AttemptStopReason,
        /// The kind of error, where one ended it.
        class: Option<ErrorClass>,
        /// What happened, where that is not plain.
        message: Option<String>,
    },
    /// Keeps the commit it made.
    KeepHead(String),
    /// Moves it along its machine.
    Move(AttemptState),
    /// Moves its sandbox along its machine.
    MoveSandbox(SandboxState),
    /// Notes that its sandbox is gone, because of what ended the attempt.
    EndSandbox,
}

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
const fn ended_state(from: AttemptState, to: AttemptState) -> AttemptState {
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
