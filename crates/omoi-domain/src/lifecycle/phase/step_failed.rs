//! A step of a spec's planning that did not succeed.

/// Steps of one spec that may fail in a row.
const FAILED_STEPS_MAX: u32 = 3;

/// What is known of a step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// Whether what it failed of passes by itself.
    pub is_passing: bool,
    /// Steps of the spec that failed in a row before.
    pub earlier: u32,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepFailure {
    /// It is tried again, and does not count.
    Ignore,
    /// It is tried again, and this many have failed in a row.
    Count(u32),
    /// The phase at which the spec stands fails.
    GiveUp,
}

/// Decides what follows on a step that failed: when the steps of a spec go on failing, its phase does.
pub fn judge_failed_step(step: FailedStep) -> StepFailure {
    let failed = step.earlier + 1;
    match (step.is_passing, failed < FAILED_STEPS_MAX) {
        (true, _) => StepFailure::Ignore,
        (false, true) => StepFailure::Count(failed),
        (false, false) => StepFailure::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_failure_in_a_row_is_the_phases() {
        use StepFailure::{Count, GiveUp, Ignore};
        for (is_passing, earlier, expected) in [
            (false, 0, Count(1)),
            (false, 1, Count(2)),
            (false, 2, GiveUp),
            // Giving up failed.
            (false, 3, GiveUp),
            (true, 2, Ignore),
        ] {
            let step = FailedStep {
                is_passing,
                earlier,
            };
            assert_eq!(judge_failed_step(step), expected, "{step:?}");
        }
    }
}
