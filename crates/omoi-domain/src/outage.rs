//! How long work waits for a model provider that fails: a pure decision.

use std::time::Duration;

use crate::retry::{ErrorClass, PhaseFailure};
use crate::time::Timestamp;

/// Pause after the first attempt that the provider failed; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Attempts in a row that the provider may fail, however short they are.
pub const OUTAGE_ATTEMPTS_MAX: usize = 20;

/// An attempt that the provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// When it was made.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// What becomes of work whose attempt the provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageStep {
    /// It is tried again.
    TryAgain {
        /// When.
        at: Timestamp,
        /// Until when it goes on being tried.
        until: Timestamp,
    },
    /// It waits for a person.
    Stop,
}

/// Whether `class` is a failure of the model provider, which says nothing about the work.
pub fn is_provider_failure(class: ErrorClass) -> bool {
    PhaseFailure::of(class) == PhaseFailure::ProviderUnavailable
}

/// What follows at `now` when a provider failed an attempt with `class`. `failed` are the attempts at
/// the same work that it failed; those that ended before `answered_at`, when it last answered or a person
/// last resumed the work, count no longer. The outage may last for `wait`.
pub fn outage_step(
    class: ErrorClass,
    failed: &[FailedAttempt],
    answered_at: Option<Timestamp>,
    (now, wait): (Timestamp, Duration),
) -> OutageStep {
    if !class.retryable() {
        return OutageStep::Stop;
    }
    let answered_at = answered_at.unwrap_or_default();
    let counted = failed
        .iter()
        .filter(|attempt| attempt.ended_at >= answered_at);
    let began = counted
        .clone()
        .map(|attempt| attempt.began_at.max(answered_at));
    let since = began.min().unwrap_or(now);
    let n = counted.count().max(1);
    let doubled = PAUSE_MIN.saturating_mul(1 << (n - 1).min(8));
    let (at, until) = (now + doubled.min(PAUSE_MAX), since + wait);
    if at >= until || n >= OUTAGE_ATTEMPTS_MAX {
        return OutageStep::Stop;
    }
    OutageStep::TryAgain { at, until }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_mins(15);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn an_outage_is_waited_out_and_ends_the_work_when_it_lasts() {
        let again = |at_s, until_s| OutageStep::TryAgain {
            at: at(at_s),
            until: at(until_s),
        };
        for (name, class, failed, answered, now, expected) in [
            (
                "first",
                ErrorClass::Upstream5xx,
                &[(100, 200)][..],
                None,
                200,
                again(205, 1000),
            ),
            (
                "second",
                ErrorClass::RateLimited,
                &[(100, 200), (205, 210)],
                None,
                210,
                again(220, 1000),
            ),
            (
                "answered in between",
                ErrorClass::Network,
                &[(100, 200), (800, 900)],
                Some(850),
                900,
                again(905, 1750),
            ),
            (
                "resumed",
                ErrorClass::Network,
                &[(100, 200), (2000, 2001)],
                Some(1990),
                2001,
                again(2006, 2900),
            ),
            (
                "it lasts",
                ErrorClass::Upstream5xx,
                &[(100, 200), (900, 960)],
                None,
                995,
                OutageStep::Stop,
            ),
            (
                "a key is refused",
                ErrorClass::AuthFailed,
                &[(100, 101)],
                None,
                101,
                OutageStep::Stop,
            ),
            (
                "a request is refused",
                ErrorClass::UpstreamRefused,
                &[(100, 101)],
                None,
                101,
                OutageStep::Stop,
            ),
        ] {
            let failed: Vec<FailedAttempt> = failed
                .iter()
                .map(|(began, ended)| FailedAttempt {
                    began_at: at(*began),
                    ended_at: at(*ended),
                })
                .collect();
            let step = outage_step(class, &failed, answered.map(at), (at(now), WAIT));
            assert_eq!(step, expected, "{name}");
        }
    }

    #[test]
    fn an_outage_is_bounded_by_count_too() {
        let quick = |n: usize| {
            vec![
                FailedAttempt {
                    began_at: at(100),
                    ended_at: at(101)
                };
                n
            ]
        };
        let step = |n| {
            outage_step(
                ErrorClass::RateLimited,
                &quick(n),
                None,
                (at(101), Duration::from_hours(9)),
            )
        };
        assert!(
            matches!(step(OUTAGE_ATTEMPTS_MAX - 1), OutageStep::TryAgain { at: next, .. } if next == at(161))
        );
        assert_eq!(step(OUTAGE_ATTEMPTS_MAX), OutageStep::Stop);
    }

    #[test]
    fn failures_of_the_provider_say_nothing_about_the_work() {
        let ours: Vec<&str> = ErrorClass::ALL
            .iter()
            .filter(|class| is_provider_failure(**class))
            .map(|class| class.as_str())
            .collect();
        assert_eq!(
            ours,
            [
                "network",
                "upstream_5xx",
                "rate_limited",
                "upstream_refused",
                "auth_failed"
            ]
        );
    }
}
