//! When a mirror is cleared of objects that no ref reaches any more.

use std::time::Duration;

use crate::time::Timestamp;

/// How long objects that no ref reaches are kept. Work under way may name a commit that no ref holds, as a merge whose checks run;
/// none of it takes nearly as long.
pub const UNREACHED_KEPT_FOR: Duration = Duration::from_hours(14 * 24);
/// How often one mirror is cleared, at most: each time its whole history is read.
const CLEARED_EVERY: Duration = Duration::from_hours(24);
/// Objects in files of their own, and packs, from which on every look-up is slow. Git's own figures.
const LOOSE_OBJECTS_MAX: u64 = 6_700;
const PACKS_MAX: u64 = 50;

/// What is known of the objects of a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorObjects {
    /// When it was cleared last.
    pub cleared_at: Option<Timestamp>,
    /// When refs were removed whose objects may still be there.
    pub refs_removed_at: Vec<Timestamp>,
    /// Objects in files of their own.
    pub n_loose: u64,
    /// Packs.
    pub n_packs: u64,
}

impl MirrorObjects {
    /// Whether the mirror is to be cleared at `now`: after refs were removed, again once the youngest of their objects are old
    /// enough to go, and when it became slow.
    pub fn is_clearing_due(&self, now: Timestamp) -> bool {
        let is_rested = self
            .cleared_at
            .is_none_or(|at| now < at || now.since(at) >= CLEARED_EVERY);
        let is_uncleared = |removed_at: &Timestamp| {
            let before = self.cleared_at.is_none_or(|at| at < *removed_at);
            before || now.since(*removed_at) >= UNREACHED_KEPT_FOR
        };
        is_rested
            && (self.refs_removed_at.iter().any(is_uncleared)
                || self.n_loose > LOOSE_OBJECTS_MAX
                || self.n_packs > PACKS_MAX)
    }

    /// Notes that the mirror was cleared at `now`; what was removed too lately for all its objects to be gone stays noted.
    pub fn note_clearing(&mut self, now: Timestamp) {
        self.cleared_at = Some(now);
        self.refs_removed_at
            .retain(|removed_at| now.since(*removed_at) < UNREACHED_KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_hour(hour: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_hours(hour)
    }

    #[test]
    fn a_mirror_is_cleared_once_a_day_and_only_of_something() {
        // Hours of the last clearing and of removed refs, loose objects and packs; whether it is due at hour 1000.
        for (cleared, removed, n_loose, n_packs, is_due) in [
            (None, vec![], 0, 0, false),
            (None, vec![], 6_700, 50, false),
            (None, vec![], 6_701, 0, true),
            (None, vec![], 0, 51, true),
            (Some(977), vec![], 9_000, 90, false),
            (Some(976), vec![], 9_000, 90, true),
            // A clock that was set back.
            (Some(2_000), vec![], 9_000, 0, true),
            (None, vec![999], 0, 0, true),
            (Some(990), vec![999], 0, 0, false),
            (Some(976), vec![999], 0, 0, true),
            // Its objects were too young then, and still are.
            (Some(976), vec![975], 0, 0, false),
            (Some(976), vec![665], 0, 0, false),
            (Some(976), vec![664], 0, 0, true),
        ] {
            let objects = MirrorObjects {
                cleared_at: cleared.map(at_hour),
                refs_removed_at: removed.iter().copied().map(at_hour).collect(),
                n_loose,
                n_packs,
            };
            let found = objects.is_clearing_due(at_hour(1_000));
            assert_eq!(found, is_due, "{cleared:?} {removed:?} {n_loose} {n_packs}");
        }
    }

    #[test]
    fn what_was_removed_lately_is_cleared_again_later() {
        let mut objects = MirrorObjects {
            refs_removed_at: vec![at_hour(664), at_hour(665)],
            ..MirrorObjects::default()
        };
        objects.note_clearing(at_hour(1_000));
        assert_eq!(objects.cleared_at, Some(at_hour(1_000)));
        assert_eq!(objects.refs_removed_at, [at_hour(665)]);
        assert!(!objects.is_clearing_due(at_hour(1_000)));
        assert!(objects.is_clearing_due(at_hour(1_024)));
        objects.note_clearing(at_hour(1_024));
        assert!(!objects.is_clearing_due(at_hour(9_000)));
    }
}
