//! How long work waits for a model provider that fails: a pure decision.

use std::time::Duration;

use crate::retry::{ErrorClass, PhaseFailure};
use crate::time::Timestamp;

/// Pause after the first attempt that the provider failed; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Attempts in a row that the provider may fail, however short they are.
pub const OUTAGE_ATTEMPTS_MAX: usize = 20;
/// How long a provider may turn a question away before its caller counts as waiting.
pub const WAITING_AFTER: Duration = Duration::from_mins(1);
/// The longest window of a provider; whoever names a later reset is not waited for.
pub const WINDOW_MAX: Duration = Duration::from_hours(7 * 24);

/// How a call stands that its provider turns away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallWait {
    /// It is tried again soon, or was not turned away.
    Brief,
    /// Its attempt waits for the provider.
    Waiting,
    /// No try is left within the time of the question: its attempt is saved, and goes on later.
    Saved,
}

/// How a call stands that failed. `since` says from when on its provider turns it away, without another
/// failure in between, and `next_at` when it is tried again.
pub fn call_wait(since: Option<Timestamp>, next_at: Option<Timestamp>) -> CallWait {
    match (since, next_at) {
        (None, _) => CallWait::Brief,
        (Some(_), None) => CallWait::Saved,
        (Some(since), Some(next_at)) if next_at.since(since) >= WAITING_AFTER => CallWait::Waiting,
        (Some(_), Some(_)) => CallWait::Brief,
    }
}

/// An attempt that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedAttempt {
    /// When it was made.
    pub began_at: Timestamp,
    /// When it reached a final state.
    pub ended_at: Timestamp,
    /// Whether the provider failed it.
    pub is_outage: bool,
    /// When the provider said that it answers again.
    pub wakes_at: Option<Timestamp>,
}

/// What is known of the attempts at some work.
#[derive(Clone, Copy, Debug)]
pub struct OutageRecord<'a> {
    /// Those that ended by themselves, oldest first.
    pub attempts: &'a [EndedAttempt],
    /// When the provider last answered one.
    pub answered_at: Option<Timestamp>,
    /// When a person last had the work go on.
    pub resumed_at: Option<Timestamp>,
}

/// What becomes of work whose attempt the provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageStep {
    /// It is tried again.
    TryAgain {
        /// Earliest time of the next attempt.
        at: Timestamp,
        /// Until when it goes on being tried.
        until: Timestamp,
    },
    /// It waits for a person.
    Stop,
}

/// Whether `class` is a failure of the model provider, which says nothing about the work.
pub fn is_provider_failure(class: ErrorClass) -> bool {
    PhaseFailure::of_class(class) == PhaseFailure::ProviderUnavailable
}

/// What follows at `now` when a provider failed the last attempt with `class`. The attempts that it
/// failed in a row are counted, whatever it answered in between, since a person last had the work go on.
/// Each answer lets the outage last for `wait` again, and so does the time that the provider named itself:
/// until then nothing is tried.
pub fn outage_step(
    class: ErrorClass,
    record: OutageRecord<'_>,
    now: Timestamp,
    wait: Duration,
) -> OutageStep {
    if !class.is_retryable() {
        return OutageStep::Stop;
    }
    let resumed_at = record.resumed_at.unwrap_or_default();
    let answered_at = record.answered_at.unwrap_or_default().max(resumed_at);
    let in_a_row = || {
        let newest_first = record.attempts.iter().rev();
        newest_first.take_while(|a| a.is_outage && a.ended_at >= resumed_at)
    };
    let n = in_a_row().count().max(1);
    let named = in_a_row().next().and_then(|attempt| attempt.wakes_at);
    if let Some(at) = named.filter(|at| *at > now) {
        return match at.since(now) > WINDOW_MAX || n >= OUTAGE_ATTEMPTS_MAX {
            true => OutageStep::Stop,
            false => OutageStep::TryAgain {
                at,
                until: at + wait,
            },
        };
    }
    let waited = in_a_row().filter_map(|attempt| attempt.wakes_at).max();
    let fresh_at = answered_at.max(waited.unwrap_or_default());
    let unanswered = in_a_row().filter(|attempt| attempt.ended_at >= fresh_at);
    let began = unanswered.map(|attempt| attempt.began_at.max(fresh_at));
    let since = began.min().unwrap_or(now);
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

    fn ended_attempt(began: i64, ended: i64, is_outage: bool) -> EndedAttempt {
        EndedAttempt {
            began_at: at(began),
            ended_at: at(ended),
            is_outage,
            wakes_at: None,
        }
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
                ErrorClass::Upstream5xx,
                &[(100, 200), (800, 900)],
                Some(850),
                900,
                again(910, 1750),
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
            let failed: Vec<EndedAttempt> = failed
                .iter()
                .map(|(began, ended)| ended_attempt(*began, *ended, true))
                .collect();
            let record = OutageRecord {
                attempts: &failed,
                answered_at: answered.map(at),
                resumed_at: None,
            };
            let step = outage_step(class, record, at(now), WAIT);
            assert_eq!(step, expected, "{name}");
        }
    }

    /// A pause for the `n`th failure in a row.
    fn pause_of(n: u32) -> Duration {
        (PAUSE_MIN * 2_u32.pow((n - 1).min(8))).min(PAUSE_MAX)
    }

    #[test]
    fn a_provider_that_answers_and_then_fails_each_time_is_given_up() {
        let max = u32::try_from(OUTAGE_ATTEMPTS_MAX).unwrap();
        // Each attempt takes 30 seconds and ends 10 seconds after an answer.
        for (name, attempts, resumed, n) in [
            ("one less", max - 1, None, Some(max - 1)),
            ("as many", max, None, None),
            ("more", max + 5, None, None),
            ("resumed before the last two", max, Some(2), Some(2)),
        ] {
            for (other, in_a_row) in [(false, n), (true, Some(1))] {
                let ends = |k: u32| 30 * i64::from(k);
                let mut all: Vec<EndedAttempt> = (1..=attempts)
                    .map(|k| ended_attempt(ends(k) - 30, ends(k), true))
                    .collect();
                if other {
                    // The last but one ended in another way.
                    let last_but_one = all.len() - 2;
                    all[last_but_one].is_outage = false;
                }
                let now = at(ends(attempts));
                let record = OutageRecord {
                    attempts: &all,
                    answered_at: Some(at(ends(attempts) - 10)),
                    resumed_at: resumed.map(|last| at(ends(attempts - last) + 1)),
                };
                let expected = in_a_row.map_or(OutageStep::Stop, |n| OutageStep::TryAgain {
                    at: now + pause_of(n),
                    until: at(ends(attempts) - 10) + WAIT,
                });
                let step = outage_step(ErrorClass::Upstream5xx, record, now, WAIT);
                assert_eq!(step, expected, "{name}, another ending: {other}");
            }
        }
    }

    #[test]
    fn an_outage_is_bounded_by_count_too() {
        let step = |n| {
            let quick = vec![ended_attempt(100, 101, true); n];
            let record = OutageRecord {
                attempts: &quick,
                answered_at: None,
                resumed_at: None,
            };
            let wait = Duration::from_hours(9);
            outage_step(ErrorClass::RateLimited, record, at(101), wait)
        };
        assert!(
            matches!(step(OUTAGE_ATTEMPTS_MAX - 1), OutageStep::TryAgain { at: next, .. } if next == at(161))
        );
        assert_eq!(step(OUTAGE_ATTEMPTS_MAX), OutageStep::Stop);
    }

    #[test]
    fn a_call_that_is_turned_away_waits_and_then_is_saved() {
        for (since, next_at, expected) in [
            (None, Some(700), CallWait::Brief),
            (None, None, CallWait::Brief),
            (Some(100), Some(159), CallWait::Brief),
            (Some(100), Some(160), CallWait::Waiting),
            (Some(100), None, CallWait::Saved),
        ] {
            let wait = call_wait(since.map(at), next_at.map(at));
            assert_eq!(wait, expected, "{since:?} {next_at:?}");
        }
    }

    #[test]
    fn a_provider_that_names_its_reset_is_waited_for_until_then() {
        const HOUR: i64 = 3_600;
        let step = |wakes: &[Option<i64>], now_s: i64| {
            let saved: Vec<EndedAttempt> = wakes
                .iter()
                .map(|wakes_at| EndedAttempt {
                    wakes_at: wakes_at.map(at),
                    ..ended_attempt(100, 200, true)
                })
                .collect();
            let record = OutageRecord {
                attempts: &saved,
                answered_at: None,
                resumed_at: None,
            };
            outage_step(ErrorClass::RateLimited, record, at(now_s), WAIT)
        };
        let again = |at_s, until_s| OutageStep::TryAgain {
            at: at(at_s),
            until: at(until_s),
        };
        let (five_hours, week) = (200 + 5 * HOUR, 200 + 7 * 24 * HOUR);
        for (name, wakes, now_s, expected) in [
            (
                "in 5 hours",
                vec![Some(five_hours)],
                200,
                again(five_hours, five_hours + 900),
            ),
            ("in 7 days", vec![Some(week)], 200, again(week, week + 900)),
            (
                "later than any window",
                vec![Some(week + 1)],
                200,
                OutageStep::Stop,
            ),
            // Woken, and turned away without a time: the outage begins then.
            (
                "after the reset",
                vec![Some(five_hours), None],
                five_hours + 60,
                again(five_hours + 70, five_hours + 60 + 900),
            ),
            (
                "time and again",
                vec![Some(five_hours); OUTAGE_ATTEMPTS_MAX],
                200,
                OutageStep::Stop,
            ),
        ] {
            assert_eq!(step(&wakes, now_s), expected, "{name}");
        }
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
                "upstream_5xx",
                "rate_limited",
                "upstream_refused",
                "auth_failed"
            ]
        );
    }
}
