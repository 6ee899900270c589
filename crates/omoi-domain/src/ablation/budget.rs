//! What ablation may cost.

/// The share of a run's check time that ablation may take.
const SHARE: i64 = 4;
/// A run whose checks took almost no time may still be ablated for as long.
const FLOOR_MS: i64 = 10_000;

/// The time left for proofs without the work. What is under way holds its limit until it ends, so
/// that all of it together never takes more than there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckBudget {
    free_ms: i64,
}

impl CheckBudget {
    /// The budget of a run whose checks took `checks_ms` and whose ablation took `spent_ms` so far.
    pub fn of_run(checks_ms: i64, spent_ms: i64) -> Self {
        let whole = (checks_ms / SHARE).max(FLOOR_MS);
        Self {
            free_ms: whole.saturating_sub(spent_ms).max(0),
        }
    }

    /// Sets time aside for one proof of `at_once` that may run beside each other: at most
    /// `timeout_ms`. None when not even the `expected_ms` it took at the head are left.
    pub fn reserve_time(&mut self, expected_ms: i64, timeout_ms: i64, at_once: i64) -> Option<i64> {
        if self.free_ms < expected_ms.max(1) {
            return None;
        }
        let share = self.free_ms / at_once.max(1);
        let limit = share.max(expected_ms.max(1)).min(timeout_ms);
        self.free_ms -= limit;
        Some(limit)
    }

    /// Gives back what a proof did not use of its `reserved_ms`.
    pub fn settle_time(&mut self, reserved_ms: i64, took_ms: i64) {
        self.free_ms += reserved_ms.saturating_sub(took_ms).max(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quarter_of_the_check_time_and_ten_seconds_at_least() {
        let free = |checks, spent| CheckBudget::of_run(checks, spent).free_ms;
        assert_eq!(free(100_000, 0), 25_000);
        assert_eq!(free(100_000, 24_000), 1_000);
        assert_eq!(free(100_000, 30_000), 0);
        assert_eq!(free(1_000, 0), 10_000);
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_what_ends_early_makes_room() {
        let mut budget = CheckBudget::of_run(48_000, 0);
        assert_eq!(budget.reserve_time(13_000, 60_000, 2), None);
        let first = budget.reserve_time(2_000, 60_000, 2).unwrap();
        assert_eq!(first, 6_000);
        // More than half of what is left, but it took that long at the head.
        let second = budget.reserve_time(5_000, 60_000, 2).unwrap();
        assert_eq!(second, 5_000);
        assert_eq!(budget.reserve_time(2_000, 60_000, 2), None);
        budget.settle_time(first, 1_500);
        assert_eq!(budget.reserve_time(2_000, 1_000, 2), Some(1_000));
    }

    proptest! {
        #[test]
        fn all_of_it_together_stays_within(
            checks in 0_i64..1_000_000,
            runs in prop::collection::vec((0_i64..50_000, 1_i64..80_000, 0_i64..100_000), 0..40),
        ) {
            let whole = (checks / SHARE).max(FLOOR_MS);
            let mut budget = CheckBudget::of_run(checks, 0);
            let (mut spent, mut open) = (0, Vec::new());
            for (expected, timeout, takes) in runs {
                if open.len() == 2 {
                    let (limit, took): (i64, i64) = open.remove(0);
                    budget.settle_time(limit, took);
                }
                let Some(limit) = budget.reserve_time(expected, timeout, 2) else { continue };
                let took = takes.min(limit);
                spent += took;
                open.push((limit, took));
            }
            prop_assert!(spent <= whole, "{spent} of {whole}");
        }
    }
}
