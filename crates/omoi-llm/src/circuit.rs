//! Circuit breakers: a target that keeps failing is left alone for a while.
//!
//! Five straight failures open the circuit for 30 s. Then one call may probe; its first sign of life
//! lets the others in again, but until a call has come to its good end one more failure reopens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;

/// Straight failures that open a circuit.
pub const FAILURES_MAX: u32 = 5;
/// How long an open circuit lets no call through.
pub const OPEN_FOR: Duration = Duration::from_secs(30);
/// How soon to look again while another call probes.
const PROBE_POLL: Duration = Duration::from_secs(1);

/// The circuits of every target. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Circuits(Arc<Mutex<HashMap<String, State>>>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Timestamp>,
    probing: bool,
}

/// The circuit is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// When to ask again.
    pub until: Timestamp,
}

/// The right to make one call. Dropped without a verdict, it counts neither way.
#[derive(Debug)]
pub struct Permit {
    circuits: Circuits,
    target: String,
    probe: bool,
}

impl Circuits {
    /// Asks for the right to call `target`.
    ///
    /// # Errors
    /// Returns [`Open`] while the circuit is open or another call probes it.
    pub fn admit(&self, target: &str, now: Timestamp) -> Result<Permit, Open> {
        let mut states = self.lock();
        let state = states.entry(target.to_owned()).or_default();
        let probe = match state.open_until {
            None => false,
            Some(until) if now < until => return Err(Open { until }),
            Some(_) if state.probing => {
                return Err(Open {
                    until: now + PROBE_POLL,
                });
            }
            Some(_) => true,
        };
        state.probing |= probe;
        Ok(Permit {
            circuits: self.clone(),
            target: target.to_owned(),
            probe,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, State>> {
        // The map is whole between any two statements here, so a panic elsewhere did not harm it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The target answers: a probe lets the others in.
    pub fn alive(&mut self) {
        if std::mem::take(&mut self.probe) {
            self.with(|state| {
                *state = State {
                    failures: FAILURES_MAX - 1,
                    ..State::default()
                };
            });
        }
    }

    /// The call came to its good end, or failed by the caller's own fault.
    pub fn succeed(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.with(|state| {
            // A call begun before the circuit opened says nothing about the target now.
            if probe || state.open_until.is_none() {
                *state = State::default();
            }
        });
    }

    /// The target failed.
    pub fn fail(mut self, now: Timestamp) {
        let probe = std::mem::take(&mut self.probe);
        self.with(|state| {
            state.failures = state.failures.saturating_add(1);
            if probe || (state.open_until.is_none() && state.failures >= FAILURES_MAX) {
                state.open_until = Some(now + OPEN_FOR);
                state.probing = false;
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.circuits.lock().get_mut(&self.target) {
            change(state);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe {
            self.with(|state| state.probing = false);
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

    fn opened() -> Circuits {
        let circuits = Circuits::default();
        for n in 0..5 {
            circuits.admit("a", at(n)).unwrap().fail(at(n));
        }
        circuits
    }

    #[test]
    fn five_straight_failures_open_one_target() {
        let circuits = Circuits::default();
        for n in 0..4 {
            circuits.admit("a", at(n)).unwrap().fail(at(n));
        }
        circuits.admit("a", at(4)).unwrap().succeed();
        for n in 5..9 {
            circuits.admit("a", at(n)).unwrap().fail(at(n));
        }
        drop(circuits.admit("a", at(9)).unwrap());
        circuits.admit("a", at(9)).unwrap().fail(at(9));
        let open = circuits.admit("a", at(10)).unwrap_err();
        assert_eq!(open, Open { until: at(39) });
        assert!(circuits.admit("b", at(10)).is_ok());
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let circuits = opened();
        assert!(circuits.admit("a", at(33)).is_err());
        let probe = circuits.admit("a", at(34)).unwrap();
        assert_eq!(
            circuits.admit("a", at(34)).unwrap_err(),
            Open { until: at(35) }
        );
        probe.fail(at(36));
        assert_eq!(
            circuits.admit("a", at(37)).unwrap_err(),
            Open { until: at(66) }
        );

        drop(circuits.admit("a", at(66)).unwrap());
        let mut probe = circuits.admit("a", at(66)).unwrap();
        probe.alive();
        let other = circuits.admit("a", at(67)).unwrap();
        other.fail(at(68));
        assert!(circuits.admit("a", at(69)).is_err(), "not yet trusted");
        probe.succeed();
        assert!(
            circuits.admit("a", at(69)).is_err(),
            "an older call decides nothing"
        );
        circuits.admit("a", at(98)).unwrap().succeed();
        circuits.admit("a", at(98)).unwrap().fail(at(98));
        assert!(circuits.admit("a", at(98)).is_ok());
    }

    #[test]
    fn late_failures_do_not_lengthen_the_pause() {
        let circuits = Circuits::default();
        let late = circuits.admit("a", at(0)).unwrap();
        for n in 0..5 {
            circuits.admit("a", at(n)).unwrap().fail(at(n));
        }
        late.fail(at(20));
        assert!(circuits.admit("a", at(34)).is_ok());
    }
}
