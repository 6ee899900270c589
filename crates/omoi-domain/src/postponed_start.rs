//! How often a start that something outside holds up is tried again, and when: a pure decision.

use std::time::Duration;

use crate::attempt::{AttemptState, AttemptStopReason};
use crate::time::Timestamp;

/// Starts in a row after which the work waits for a person. Each waited for ten minutes by itself, so with the pauses
/// between them that is about three hours.
pub const POSTPONED_STARTS_MAX: usize = 8;
/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_mins(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(30);

/// What becomes of work whose start was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostponedStep {
    /// It is begun again then.
    TryAgain {
        /// When.
        at: Timestamp,
        /// Starts from then on, after which a person is asked.
        n_left: usize,
    },
    /// It waits for a person.
    Stop {
        /// Starts in a row that were put off.
        n_starts: usize,
    },
}

/// An attempt as far as it tells whether its start was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedStart {
    /// Where it stands.
    pub state: AttemptState,
    /// Why it ended.
    pub stop_reason: Option<AttemptStopReason>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl EndedStart {
    /// Whether it could not start since something outside did not answer.
    pub fn is_postponed(&self) -> bool {
        is_postponed_end(self.state, self.stop_reason)
    }
}

/// Whether an attempt that ended so could not start since something outside did not answer.
pub fn is_postponed_end(state: AttemptState, stop_reason: Option<AttemptStopReason>) -> bool {
    state == AttemptState::Interrupted && stop_reason == Some(AttemptStopReason::ProvisionFailed)
}

/// What follows when the last of `attempts` at one subject, oldest first, was put off at `now`. Those that ended before
/// `resumed_at`, when a person last had the work go on, do not count.
pub fn postponed_step(
    attempts: &[EndedStart],
    resumed_at: Option<Timestamp>,
    now: Timestamp,
) -> PostponedStep {
    let since = resumed_at.unwrap_or_default();
    let in_a_row = attempts
        .iter()
        .rev()
        .take_while(|one| one.is_postponed() && one.ended_at.is_none_or(|at| at >= since));
    let n_starts = in_a_row.count();
    match POSTPONED_STARTS_MAX.checked_sub(n_starts) {
        None | Some(0) => PostponedStep::Stop { n_starts },
        Some(n_left) => {
            let doubled = u32::try_from(n_starts.saturating_sub(1)).unwrap_or(u32::MAX);
            let factor = 2_u32.saturating_pow(doubled);
            let at = now + PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX);
            PostponedStep::TryAgain { at, n_left }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn start(state: AttemptState, reason: AttemptStopReason, ended_at: i64) -> EndedStart {
        EndedStart {
            state,
            stop_reason: Some(reason),
            ended_at: Some(Timestamp::from_micros(ended_at)),
        }
    }

    fn postponed(ended_at: i64) -> EndedStart {
        let (state, reason) = (
            AttemptState::Interrupted,
            AttemptStopReason::ProvisionFailed,
        );
        start(state, reason, ended_at)
    }

    #[test]
    fn pauses_double_up_to_half_an_hour_and_then_a_person_is_asked() {
        let mut minutes = Vec::new();
        let mut attempts = Vec::new();
        loop {
            attempts.push(postponed(5));
            match postponed_step(&attempts, None, NOW) {
                PostponedStep::TryAgain { at, n_left } => {
                    assert_eq!(n_left, POSTPONED_STARTS_MAX - attempts.len());
                    minutes.push(at.since(NOW).as_secs() / 60);
                }
                PostponedStep::Stop { n_starts } => {
                    assert_eq!(n_starts, POSTPONED_STARTS_MAX);
                    break;
                }
            }
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_start_that_came_about_and_a_person_begin_the_row_anew() {
        let first = PostponedStep::TryAgain {
            at: NOW + PAUSE_MIN,
            n_left: POSTPONED_STARTS_MAX - 1,
        };
        let (lost, failed) = (
            start(AttemptState::Lost, AttemptStopReason::SandboxLost, 5),
            // It counts against its task, which is another rule.
            start(AttemptState::Failed, AttemptStopReason::ProvisionFailed, 5),
        );
        for other in [lost, failed] {
            let mut attempts = vec![postponed(1); POSTPONED_STARTS_MAX];
            attempts.extend([other, postponed(6)]);
            assert_eq!(postponed_step(&attempts, None, NOW), first, "{other:?}");
        }
        let mut attempts = vec![postponed(1); POSTPONED_STARTS_MAX];
        attempts.push(postponed(9));
        let resumed_at = Some(Timestamp::from_micros(8));
        assert_eq!(postponed_step(&attempts, resumed_at, NOW), first);
    }
}
