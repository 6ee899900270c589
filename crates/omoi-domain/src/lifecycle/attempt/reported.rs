//! An attempt whose worker tells how it ended.

use super::{AttemptAction, ended_state};
use crate::attempt::{AttemptOutcome, AttemptState, AttemptStopReason};
use crate::retry::ErrorClass;
use crate::sandbox::SandboxState;

/// What is known of an attempt whose worker tells its end.
#[derive(Clone, Debug)]
pub struct ReportedAttempt {
    /// Where the attempt stands.
    pub state: AttemptState,
    /// Where its sandbox stands.
    pub sandbox: SandboxState,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why it ended.
    pub stop_reason: AttemptStopReason,
    /// The kind of error, where one ended it.
    pub class: Option<ErrorClass>,
    /// What happened, where it failed or was stopped.
    pub message: Option<String>,
    /// The commit it made, where that was taken into the mirror.
    pub head: Option<String>,
}

/// Ends the attempt as its worker tells; its sandbox only has to go.
pub fn end_reported(attempt: ReportedAttempt) -> Vec<AttemptAction> {
    let mut actions = vec![AttemptAction::KeepEnd {
        stop_reason: attempt.stop_reason,
        class: attempt.class,
        message: attempt.message,
    }];
    actions.extend(attempt.head.map(AttemptAction::KeepHead));
    let to = ended_state(attempt.state, attempt.outcome.attempt_state());
    actions.push(AttemptAction::Move(to));
    if attempt.sandbox == SandboxState::Running {
        actions.push(AttemptAction::MoveSandbox(SandboxState::Completing));
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn an_attempt_ends_as_its_worker_tells() {
        use AttemptState::{Failed, Incomplete, Interrupted, Running, Starting, Succeeded};
        for (state, sandbox, outcome, ends, closes) in [
            (
                Running,
                SandboxState::Running,
                AttemptOutcome::Succeeded,
                Succeeded,
                true,
            ),
            (
                Running,
                SandboxState::Running,
                AttemptOutcome::Incomplete,
                Incomplete,
                true,
            ),
            (
                Running,
                SandboxState::Terminated,
                AttemptOutcome::Failed,
                Failed,
                false,
            ),
            // Whose worker never started cannot have been cut short.
            (
                Starting,
                SandboxState::Creating,
                AttemptOutcome::Incomplete,
                Failed,
                false,
            ),
            (
                Starting,
                SandboxState::Creating,
                AttemptOutcome::Interrupted,
                Interrupted,
                false,
            ),
        ] {
            let head = (ends == Succeeded).then(|| "c0ffee".to_owned());
            let actions = end_reported(ReportedAttempt {
                state,
                sandbox,
                outcome,
                stop_reason: AttemptStopReason::Done,
                class: Some(ErrorClass::AgentError),
                message: Some("so it says".to_owned()),
                head: head.clone(),
            });
            let mut expected = vec![AttemptAction::KeepEnd {
                stop_reason: AttemptStopReason::Done,
                class: Some(ErrorClass::AgentError),
                message: Some("so it says".to_owned()),
            }];
            expected.extend(head.map(AttemptAction::KeepHead));
            expected.push(AttemptAction::Move(ends));
            if closes {
                expected.push(AttemptAction::MoveSandbox(SandboxState::Completing));
            }
            assert_eq!(actions, expected, "{state} {outcome:?}");
            assert!(transition(state, ends).is_ok(), "{state} -> {ends}");
        }
        assert!(transition(SandboxState::Running, SandboxState::Completing).is_ok());
    }
}
