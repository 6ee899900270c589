//! How long a set-up that failed is left alone, and how long a registry that does not answer is waited for.

use std::time::Duration;

use omoi_domain::time::Timestamp;

use super::book::KnownFailure;

/// Time after which a set-up that failed is tried again.
const FAILURE_STANDS: Duration = Duration::from_mins(15);
/// Time after which a registry that did not answer is asked again.
pub(super) const REGISTRY_PAUSE: Duration = Duration::from_secs(30);
/// How long work waits for a registry at a time, where it cannot go on without.
pub(super) const NEEDED_WAIT: Duration = Duration::from_mins(10);
/// How long a registry is waited for by work that goes on without it then.
const GUESSED_WAIT: Duration = Duration::from_mins(1);

impl KnownFailure {
    /// Whether it stands for a registry that is waited for. Who cannot go on without the packages says so: `is_needed`.
    pub(super) fn awaits_registry(&self, is_needed: bool) -> bool {
        let patient = |since: Timestamp| is_needed || self.at.since(since) < GUESSED_WAIT;
        self.away_since.is_some_and(patient)
    }

    /// Whether it still stands at `now`: until then nothing is tried.
    pub(super) fn still_stands(&self, now: Timestamp, is_needed: bool) -> bool {
        let stands = match self.awaits_registry(is_needed) {
            true => REGISTRY_PAUSE,
            false => FAILURE_STANDS,
        };
        now.since(self.at) < stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{SetupCause, SetupFailure};

    #[test]
    fn a_registry_is_asked_again_soon_and_a_guess_waits_a_minute_for_it() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let known = |away_since: Option<i64>| KnownFailure {
            failure: SetupFailure {
                commands: Vec::new(),
                cause: SetupCause::Exited(Some(1)),
                output: String::new(),
            },
            at: at(1_000),
            away_since: away_since.map(at),
        };
        for (away_since, is_needed, awaits, stands_until) in [
            (None, true, false, 1_900),
            (None, false, false, 1_900),
            (Some(1_000), true, true, 1_030),
            (Some(1_000), false, true, 1_030),
            (Some(941), false, true, 1_030),
            // Long enough for a guess.
            (Some(940), false, false, 1_900),
            (Some(0), true, true, 1_030),
        ] {
            let known = known(away_since);
            assert_eq!(known.awaits_registry(is_needed), awaits, "{away_since:?}");
            let stands =
                [stands_until - 1, stands_until].map(|now| known.still_stands(at(now), is_needed));
            assert_eq!(stands, [true, false], "{away_since:?} {is_needed}");
        }
    }
}
