//! Circuit breakers: a target that keeps failing is left alone for a while.
//!
//! Five straight failures open the circuit for 30 s. Then one call may probe; its first sign of life
//! lets the others in again, but until a call has come to its good end one more failure reopens. Who has
//! another model to ask passes over, for some minutes, one that was away for a whole question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::time::Timestamp;

use crate::failed_try::FailedTry;

/// Straight failures that open a circuit.
pub const FAILURES_MAX: u32 = 5;
/// How long an open circuit lets no call through.
pub const OPEN_FOR: Duration = Duration::from_secs(30);
/// How soon to look again while another call probes.
pub(crate) const PROBE_POLL: Duration = Duration::from_secs(1);
/// How long a model is passed over that was away for a question; twice as long each time it still is.
const PASSED_MIN: Duration = Duration::from_mins(3);
const PASSED_MAX: Duration = Duration::from_mins(24);

/// The circuits of every target. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct CircuitBreakers(Arc<Mutex<HashMap<String, CircuitState>>>);

#[derive(Debug, Default)]
struct CircuitState {
    failures: u32,
    open_until: Option<Timestamp>,
    probing: bool,
    /// The last failure, where the target turned that call away.
    turned_away: Option<FailedTry>,
    passed: Option<PassedTarget>,
}

/// A target that was away for a whole question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassedTarget {
    /// When one question tries it again.
    pub(crate) until: Timestamp,
    /// How it failed the question.
    pub(crate) reason: PassReason,
    n: u32,
    /// Whether a question was let to it since.
    is_tried: bool,
}

/// How a target failed a whole question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassReason {
    /// Why the next model was asked.
    pub(crate) class: FallbackClass,
    /// The last failure, where it turned the question away.
    pub(crate) turned_away: Option<FailedTry>,
}

/// The circuit is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    /// When to ask again.
    pub until: Timestamp,
    /// The last failure, where the target turned that call away.
    pub turned_away: Option<Box<FailedTry>>,
}

/// Permission for one call. Dropped without a result, it counts neither way.
#[derive(Debug)]
pub struct CallPermit {
    circuits: CircuitBreakers,
    target: String,
    probe: bool,
    /// Whether others pass the target over.
    is_passed: bool,
    turned_away: Option<FailedTry>,
}

impl CircuitBreakers {
    /// Asks for the right to call `target`.
    ///
    /// # Errors
    /// Returns [`CircuitOpen`] while the circuit is open or another call probes it.
    pub fn request_permit(&self, target: &str, now: Timestamp) -> Result<CallPermit, CircuitOpen> {
        let mut states = self.lock_states();
        let state = states.entry(target.to_owned()).or_default();
        let open = |until, state: &CircuitState| CircuitOpen {
            until,
            turned_away: state.turned_away.clone().map(Box::new),
        };
        let probe = match state.open_until {
            None => false,
            Some(until) if now < until => return Err(open(until, state)),
            Some(_) if state.probing => return Err(open(now + PROBE_POLL, state)),
            Some(_) => true,
        };
        state.probing |= probe;
        Ok(CallPermit {
            circuits: self.clone(),
            target: target.to_owned(),
            probe,
            is_passed: state.passed.is_some(),
            turned_away: None,
        })
    }

    /// Notes that `target` was away for a whole question that went on to another model. Of questions that were
    /// under way together, each further one says nothing new.
    pub(crate) fn pass_over(&self, target: &str, now: Timestamp, reason: PassReason) {
        let mut states = self.lock_states();
        let state = states.entry(target.to_owned()).or_default();
        if let Some(passed) = &mut state.passed
            && now < passed.until
            && !passed.is_tried
        {
            passed.reason = reason;
            return;
        }
        let n = state.passed.as_ref().map_or(0, |passed| passed.n);
        let pause = PASSED_MIN.saturating_mul(1 << n.min(8)).min(PASSED_MAX);
        let turned_away = reason.turned_away.as_ref();
        let reset_at = turned_away.and_then(|failed| failed.reset_at);
        let until = now + pause;
        state.passed = Some(PassedTarget {
            until: reset_at.map_or(until, |reset_at| reset_at.clamp(now, until)),
            reason,
            n: n + 1,
            is_tried: false,
        });
    }

    /// What is known of `target` where a question that may ask another one passes it over. Once its time is
    /// up, one question is let to it, and the others pass it over until that shows what comes of it.
    pub(crate) fn passed_target(&self, target: &str, now: Timestamp) -> Option<PassedTarget> {
        let mut states = self.lock_states();
        let passed = states.get_mut(target)?.passed.as_mut()?;
        if now < passed.until {
            return Some(passed.clone());
        }
        passed.until = now + PASSED_MIN;
        passed.is_tried = true;
        None
    }

    fn lock_states(&self) -> MutexGuard<'_, HashMap<String, CircuitState>> {
        // The map is whole between any two statements here, so a panic elsewhere did not harm it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallPermit {
    /// Keeps `failed`, by which the target turned the call away, for those that wait for it.
    pub(crate) fn keep_failure(&mut self, failed: FailedTry) {
        self.turned_away = Some(failed);
    }

    /// Records that the target answers, after which a probe lets the other calls in.
    pub fn note_alive(&mut self) {
        if std::mem::take(&mut self.is_passed) {
            self.update_state(|state| state.passed = None);
        }
        if std::mem::take(&mut self.probe) {
            tracing::info!(
                circuit = self.target,
                "The model {} answers again",
                self.target
            );
            self.update_state(|state| {
                *state = CircuitState {
                    failures: FAILURES_MAX - 1,
                    ..CircuitState::default()
                };
            });
        }
    }

    /// Records that the call succeeded, or failed through the caller's own fault.
    pub fn record_success(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.update_state(|state| {
            // A call begun before the circuit opened says nothing about the target now.
            if probe || state.open_until.is_none() {
                *state = CircuitState::default();
            }
        });
    }

    /// Records a failure of the target, which may open its circuit.
    pub fn record_failure(mut self, now: Timestamp) {
        let probe = std::mem::take(&mut self.probe);
        let turned_away = self.turned_away.take();
        let mut opened_after = None;
        self.update_state(|state| {
            state.turned_away = turned_away;
            state.failures = state.failures.saturating_add(1);
            if probe || (state.open_until.is_none() && state.failures >= FAILURES_MAX) {
                opened_after = Some(state.failures);
                state.open_until = Some(now + OPEN_FOR);
                state.probing = false;
            }
        });
        if let Some(failures) = opened_after {
            let (circuit, pause_s) = (&self.target, OPEN_FOR.as_secs());
            tracing::warn!(
                circuit,
                failures,
                pause_s,
                probe,
                "The model {circuit} keeps failing and is left alone for {pause_s} s"
            );
        }
    }

    fn update_state(&self, change: impl FnOnce(&mut CircuitState)) {
        if let Some(state) = self.circuits.lock_states().get_mut(&self.target) {
            change(state);
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        if self.probe {
            self.update_state(|state| state.probing = false);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn open_until(seconds: i64) -> CircuitOpen {
        CircuitOpen {
            until: at(seconds),
            turned_away: None,
        }
    }

    fn opened() -> CircuitBreakers {
        let circuits = CircuitBreakers::default();
        for n in 0..5 {
            circuits
                .request_permit("a", at(n))
                .unwrap()
                .record_failure(at(n));
        }
        circuits
    }

    #[test]
    fn five_straight_failures_open_one_target() {
        let circuits = CircuitBreakers::default();
        for n in 0..4 {
            circuits
                .request_permit("a", at(n))
                .unwrap()
                .record_failure(at(n));
        }
        circuits
            .request_permit("a", at(4))
            .unwrap()
            .record_success();
        for n in 5..9 {
            circuits
                .request_permit("a", at(n))
                .unwrap()
                .record_failure(at(n));
        }
        drop(circuits.request_permit("a", at(9)).unwrap());
        circuits
            .request_permit("a", at(9))
            .unwrap()
            .record_failure(at(9));
        let open = circuits.request_permit("a", at(10)).unwrap_err();
        assert_eq!(open, open_until(39));
        assert!(circuits.request_permit("b", at(10)).is_ok());
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let circuits = opened();
        assert!(circuits.request_permit("a", at(33)).is_err());
        let probe = circuits.request_permit("a", at(34)).unwrap();
        assert_eq!(
            circuits.request_permit("a", at(34)).unwrap_err(),
            open_until(35)
        );
        probe.record_failure(at(36));
        assert_eq!(
            circuits.request_permit("a", at(37)).unwrap_err(),
            open_until(66)
        );

        drop(circuits.request_permit("a", at(66)).unwrap());
        let mut probe = circuits.request_permit("a", at(66)).unwrap();
        probe.note_alive();
        let other = circuits.request_permit("a", at(67)).unwrap();
        other.record_failure(at(68));
        assert!(
            circuits.request_permit("a", at(69)).is_err(),
            "not yet trusted"
        );
        probe.record_success();
        assert!(
            circuits.request_permit("a", at(69)).is_err(),
            "an older call decides nothing"
        );
        circuits
            .request_permit("a", at(98))
            .unwrap()
            .record_success();
        circuits
            .request_permit("a", at(98))
            .unwrap()
            .record_failure(at(98));
        assert!(circuits.request_permit("a", at(98)).is_ok());
    }

    #[test]
    fn late_failures_do_not_lengthen_the_pause() {
        let circuits = CircuitBreakers::default();
        let late = circuits.request_permit("a", at(0)).unwrap();
        for n in 0..5 {
            circuits
                .request_permit("a", at(n))
                .unwrap()
                .record_failure(at(n));
        }
        late.record_failure(at(20));
        assert!(circuits.request_permit("a", at(34)).is_ok());
    }

    #[test]
    fn who_has_another_model_passes_over_one_that_was_away() {
        let circuits = CircuitBreakers::default();
        let away = PassReason {
            class: FallbackClass::Away,
            turned_away: None,
        };
        let passes = |seconds| circuits.passed_target("a", at(seconds)).is_some();
        assert!(!passes(0));
        circuits.pass_over("a", at(0), away.clone());
        circuits.pass_over("a", at(1), away.clone());
        assert!(passes(179));
        assert!(!passes(180), "one question tries it");
        assert!(passes(181) && passes(359), "the others wait for it");
        circuits.pass_over("a", at(200), away);
        assert!(passes(559), "twice as long");
        assert!(circuits.passed_target("b", at(0)).is_none());
        // Whoever must ask it asks it, and its first words bring it back.
        let mut permit = circuits.request_permit("a", at(300)).unwrap();
        permit.note_alive();
        assert!(!passes(300));
    }
}
