//! How often a task that a full disk interrupts is begun again: a pure decision.

use crate::time::Timestamp;

/// Interruptions of one task by a full disk after which it waits for a person. Of agents that fill the
/// disk only together none is at fault, and they would interrupt each other until the budget ends.
pub const DISK_STOPS_MAX: usize = 3;

/// What becomes of a task whose attempt a full disk interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskStopStep {
    /// It goes back into the queue and is begun again when there is space.
    TryAgain,
    /// It waits for a person.
    Stop {
        /// Times it was interrupted since a person last had it go on.
        n_stops: usize,
    },
}

/// What follows when attempts at a task were interrupted by a full disk at these instants, the last one
/// just now. Those before `resumed_at`, when a person last had the work go on, do not count.
pub fn disk_stop_step(stopped_at: &[Timestamp], resumed_at: Option<Timestamp>) -> DiskStopStep {
    let since = resumed_at.unwrap_or_default();
    let n_stops = stopped_at.iter().filter(|at| **at >= since).count();
    match n_stops {
        DISK_STOPS_MAX.. => DiskStopStep::Stop { n_stops },
        _ => DiskStopStep::TryAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_interruption_since_a_person_looked_is_the_last() {
        let stop = |n_stops| DiskStopStep::Stop { n_stops };
        for (stopped_at, resumed_at, expected) in [
            (&[][..], None, DiskStopStep::TryAgain),
            (&[1], None, DiskStopStep::TryAgain),
            (&[1, 2], None, DiskStopStep::TryAgain),
            (&[1, 2, 3], None, stop(3)),
            (&[1, 2, 3, 4], None, stop(4)),
            (&[1, 2, 3, 5], Some(4), DiskStopStep::TryAgain),
            (&[1, 2, 3, 5, 6, 7], Some(4), stop(3)),
            (&[4, 5, 6], Some(4), stop(3)),
        ] {
            let instants: Vec<_> = stopped_at
                .iter()
                .map(|at| Timestamp::from_micros(*at))
                .collect();
            let step = disk_stop_step(&instants, resumed_at.map(Timestamp::from_micros));
            assert_eq!(step, expected, "{stopped_at:?} since {resumed_at:?}");
        }
    }
}
