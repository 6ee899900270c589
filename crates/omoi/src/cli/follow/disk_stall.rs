//! What a full disk means for a run that is followed.

use std::time::Duration;

/// What to do about work that stands still for want of space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StallStep {
    /// Work does not stand still.
    None,
    /// Say so, and that it is tried again.
    Tell,
    /// It was said; it is tried again.
    Wait,
    /// Give the run up.
    GiveUp,
}

impl StallStep {
    pub(super) fn next_step(stalled: Option<Duration>, is_told: bool, disk_wait: Duration) -> Self {
        match stalled {
            None => Self::None,
            Some(stalled) if stalled >= disk_wait => Self::GiveUp,
            Some(_) if is_told => Self::Wait,
            Some(_) => Self::Tell,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::StallStep;

    #[test]
    fn a_full_disk_is_told_once_and_ends_the_run_when_it_lasts() {
        let disk_wait = Duration::from_secs(30);
        let just_before = Duration::from_millis(29_999);
        for (stalled, is_told, expected) in [
            (None, false, StallStep::None),
            (None, true, StallStep::None),
            (Some(Duration::ZERO), false, StallStep::Tell),
            (Some(just_before), true, StallStep::Wait),
            (Some(disk_wait), true, StallStep::GiveUp),
            (Some(disk_wait), false, StallStep::GiveUp),
        ] {
            let found = StallStep::next_step(stalled, is_told, disk_wait);
            assert_eq!(found, expected, "{stalled:?}");
        }
    }
}
