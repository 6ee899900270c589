//! What a phase needs next.

use crate::attempt::{AttemptState, AttemptStopReason};
use crate::postponed_start::is_postponed_end;
use crate::spec::PhaseState;
use crate::time::Timestamp;

/// The newest attempt at a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseAttempt<A> {
    /// Where it stands.
    pub state: AttemptState,
    /// Why it ended.
    pub stop_reason: Option<AttemptStopReason>,
    /// Counts from 0, together with the attempts that the phase counts.
    pub round: u32,
    /// The attempt itself, for whoever judges it.
    pub attempt: A,
}

/// What is known of a phase when the planner looks at it.
#[derive(Clone, Copy, Debug)]
pub struct PhaseFacts<A> {
    /// Where it stands.
    pub state: PhaseState,
    /// Attempts that counted.
    pub attempts: u32,
    /// Earliest next attempt.
    pub not_before: Timestamp,
    /// The present.
    pub now: Timestamp,
    /// The newest attempt, where there is one.
    pub last: Option<PhaseAttempt<A>>,
}

/// What a phase needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseStep<A> {
    /// Nothing before this instant.
    WaitUntil(Timestamp),
    /// An attempt that counts.
    Begin {
        /// Which one it is, from 1.
        attempt: u32,
    },
    /// An attempt in place of one that was lost or stopped, which does not count.
    Retake,
    /// The end of the attempt that is under way.
    Await,
    /// What this attempt made is to be judged.
    Judge(A),
    /// What this attempt failed of is to be looked at.
    HandleFailure(A),
    /// The start of this attempt was put off: when it is tried again is to be decided.
    Postpone(A),
    /// Its spec is to fail: no attempt is left.
    FailSpec,
    /// It has passed; another phase is next.
    GoOn,
}

/// Decides what a phase needs next.
pub fn phase_step<A>(facts: PhaseFacts<A>) -> PhaseStep<A> {
    let attempt = facts.attempts + 1;
    let begin = PhaseStep::Begin { attempt };
    match facts.state {
        PhaseState::Pending => begin,
        PhaseState::Backoff if facts.not_before > facts.now => {
            PhaseStep::WaitUntil(facts.not_before)
        }
        PhaseState::Backoff => begin,
        PhaseState::Running => running_step(facts),
        PhaseState::Failed => PhaseStep::FailSpec,
        PhaseState::Passed => PhaseStep::GoOn,
    }
}

fn running_step<A>(facts: PhaseFacts<A>) -> PhaseStep<A> {
    // An earlier attempt says nothing of the one that was counted last.
    let Some(last) = facts.last.filter(|last| last.round + 1 == facts.attempts) else {
        return PhaseStep::Retake;
    };
    match last.state {
        AttemptState::Pending | AttemptState::Starting | AttemptState::Running => PhaseStep::Await,
        AttemptState::Interrupted if last.stop_reason == Some(AttemptStopReason::ProviderWait) => {
            PhaseStep::HandleFailure(last.attempt)
        }
        state if is_postponed_end(state, last.stop_reason) => PhaseStep::Postpone(last.attempt),
        AttemptState::Lost | AttemptState::Interrupted => PhaseStep::Retake,
        AttemptState::Failed => PhaseStep::HandleFailure(last.attempt),
        AttemptState::Succeeded | AttemptState::Incomplete => PhaseStep::Judge(last.attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_time_and_the_last_attempt_decide() {
        let at = Timestamp::from_micros;
        let begin = PhaseStep::Begin { attempt: 3 };
        for (state, not_before, last, expected) in [
            (PhaseState::Pending, 0, None, begin),
            (PhaseState::Backoff, 11, None, PhaseStep::WaitUntil(at(11))),
            (PhaseState::Backoff, 10, None, begin),
            (PhaseState::Failed, 0, None, PhaseStep::FailSpec),
            (PhaseState::Passed, 0, None, PhaseStep::GoOn),
            // It died before its attempt was written.
            (PhaseState::Running, 0, None, PhaseStep::Retake),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Succeeded, 0)),
                PhaseStep::Retake,
            ),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Starting, 1)),
                PhaseStep::Await,
            ),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Lost, 1)),
                PhaseStep::Retake,
            ),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Interrupted, 1)),
                PhaseStep::Retake,
            ),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Failed, 1)),
                PhaseStep::HandleFailure("attempt"),
            ),
            (
                PhaseState::Running,
                0,
                Some((AttemptState::Incomplete, 1)),
                PhaseStep::Judge("attempt"),
            ),
        ] {
            let facts = PhaseFacts {
                state,
                attempts: 2,
                not_before: at(not_before),
                now: at(10),
                last: last.map(|(state, round)| PhaseAttempt {
                    state,
                    stop_reason: None,
                    round,
                    attempt: "attempt",
                }),
            };
            assert_eq!(phase_step(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn an_attempt_that_was_saved_or_put_off_waits() {
        for (stop_reason, expected) in [
            (
                AttemptStopReason::ProviderWait,
                PhaseStep::HandleFailure(()),
            ),
            (AttemptStopReason::ProvisionFailed, PhaseStep::Postpone(())),
            (AttemptStopReason::ShutdownSignal, PhaseStep::Retake),
        ] {
            let facts = PhaseFacts {
                state: PhaseState::Running,
                attempts: 1,
                not_before: Timestamp::default(),
                now: Timestamp::default(),
                last: Some(PhaseAttempt {
                    state: AttemptState::Interrupted,
                    stop_reason: Some(stop_reason),
                    round: 0,
                    attempt: (),
                }),
            };
            assert_eq!(phase_step(facts), expected, "{stop_reason}");
        }
    }
}
