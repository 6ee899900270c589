//! How long work waits for a model provider that fails: a pure decision.

use std::time::Duration;

use crate::retry::{ErrorClass, PhaseFailure};
use crate::time::Timestamp;

/// Pause after the first attempt that the provider failed; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Pause after the first attempt that was saved without an answer; each further one doubles it.
const SAVED_PAUSE_MIN: Duration = Duration::from_mins(2);
/// Longest pause after one.
const SAVED_PAUSE_MAX: Duration = Duration::from_hours(1);
/// How long saved work waits for a provider that names no time.
const SAVED_WAIT: Duration = Duration::from_hours(24);
/// Over how long the attempts are spread that wait for one time.
const SPREAD_MAX: Duration = Duration::from_mins(1);
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
    /// Whether it was saved: the provider turned it away.
    pub is_saved: bool,
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
    /// Its place among those that wait for one time, in `0.0..1.0`.
    pub spread: f64,
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
/// failed in a row are counted since a person last had the work go on; of those that were saved, the ones
/// without an answer alone. Each answer lets the outage last for `wait` again, and so does the time that
/// the provider named itself: until then nothing is tried. Saved work waits longer from time to time, for
/// a day at most.
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
    let counted = in_a_row().filter(|a| !a.is_saved || a.began_at >= answered_at);
    let n = counted.count();
    if n >= OUTAGE_ATTEMPTS_MAX {
        return OutageStep::Stop;
    }
    let last = in_a_row().next();
    let waited = in_a_row().filter_map(|attempt| attempt.wakes_at);
    let waited = waited.filter(|at| *at <= now).max();
    let fresh_at = answered_at.max(waited.unwrap_or_default());
    let unanswered = in_a_row().filter(|attempt| attempt.ended_at >= fresh_at);
    let began = unanswered.map(|attempt| attempt.began_at.max(fresh_at));
    let since = began.min().unwrap_or(now);
    let named = last.and_then(|attempt| attempt.wakes_at);
    let named = named.filter(|at| *at > now);
    if named.is_some_and(|at| at.since(now) > WINDOW_MAX) {
        return OutageStep::Stop;
    }
    let saved_at = last.filter(|attempt| attempt.is_saved);
    let saved_at = saved_at.map(|attempt| attempt.ended_at);
    let spread_out = |saved_at: Timestamp, at: Timestamp| {
        at + (at.since(saved_at) / 10)
            .min(SPREAD_MAX)
            .mul_f64(record.spread)
    };
    if let Some(named) = named {
        let at = saved_at.map_or(named, |saved_at| {
            spread_out(saved_at, named.max(saved_at + saved_pause(n, true)))
        });
        let until = at + wait;
        return OutageStep::TryAgain { at, until };
    }
    let (at, until) = match saved_at {
        Some(saved_at) => (
            spread_out(saved_at, saved_at + saved_pause(n, false)),
            since + saved_wait(wait),
        ),
        None => {
            // A night of refusals holds other failures, too.
            let lasts = match in_a_row().any(|attempt| attempt.is_saved) {
                true => saved_wait(wait),
                false => wait,
            };
            (now + doubled_pause(n, PAUSE_MIN, PAUSE_MAX), since + lasts)
        }
    };
    match at >= until {
        true => OutageStep::Stop,
        false => OutageStep::TryAgain { at, until },
    }
}

/// The pause after saved attempt number `n` in a row, where its provider named a time or did not. What it
/// names may be short, and that time and again.
fn saved_pause(n: usize, is_named: bool) -> Duration {
    match is_named && n < 2 {
        true => Duration::ZERO,
        false => doubled_pause(n, SAVED_PAUSE_MIN, SAVED_PAUSE_MAX),
    }
}

/// How long saved work is tried without an answer where failing work is for `wait`; not at all where that is
/// not.
fn saved_wait(wait: Duration) -> Duration {
    match wait {
        Duration::ZERO => wait,
        _ => wait.max(SAVED_WAIT),
    }
}

/// The pause after attempt number `n` in a row, counted from 1.
fn doubled_pause(n: usize, min: Duration, max: Duration) -> Duration {
    let doublings = n.saturating_sub(1).min(8);
    min.saturating_mul(1 << doublings).min(max)
}

#[cfg(test)]
mod tests;
