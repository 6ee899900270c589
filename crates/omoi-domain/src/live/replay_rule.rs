//! Whether a receiver that names its last event can be told what it missed.

use std::time::Duration;

use crate::time::Timestamp;

/// Most events told again.
pub const REPLAYED_EVENTS_MAX: i64 = 10_000;
/// How old the oldest of them may be.
pub const REPLAYED_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Where the log of an organisation stands, seen from one position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPosition {
    /// The last event that the receiver knows.
    pub known_seq: i64,
    /// The newest event there is.
    pub head_seq: i64,
    /// When the event after the known one happened; none when the log does not hold it.
    pub next_at: Option<Timestamp>,
}

/// What the receiver is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStart {
    /// Every event after the one it knows.
    After(i64),
    /// That it has to read everything anew; then what happens from now on.
    Reset,
}

impl KnownPosition {
    /// Decides between the two at `now`.
    pub fn replay_start(&self, now: Timestamp) -> ReplayStart {
        let n_missed = self.head_seq.saturating_sub(self.known_seq);
        let is_kept = match self.next_at {
            Some(at) => at + REPLAYED_AGE_MAX >= now,
            None => n_missed == 0,
        };
        if self.known_seq >= 0 && (0..=REPLAYED_EVENTS_MAX).contains(&n_missed) && is_kept {
            ReplayStart::After(self.known_seq)
        } else {
            ReplayStart::Reset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

    #[test]
    fn what_was_missed_is_told_unless_it_is_too_much_or_too_old() {
        let check = |known_seq, head_seq, age_s: Option<u64>| {
            let next_at = age_s.map(|s| {
                let micros = NOW.as_micros() - i64::try_from(s * 1_000_000).unwrap();
                Timestamp::from_micros(micros)
            });
            let at = KnownPosition {
                known_seq,
                head_seq,
                next_at,
            };
            at.replay_start(NOW)
        };
        assert_eq!(check(7, 7, None), ReplayStart::After(7));
        assert_eq!(check(0, 0, None), ReplayStart::After(0));
        assert_eq!(check(7, 10_007, Some(5)), ReplayStart::After(7));
        assert_eq!(check(7, 10_008, Some(5)), ReplayStart::Reset);
        assert_eq!(check(7, 9, Some(24 * 3600)), ReplayStart::After(7));
        assert_eq!(check(7, 9, Some(24 * 3600 + 1)), ReplayStart::Reset);
        // Removed from the log, of another database, nonsense.
        assert_eq!(check(7, 9, None), ReplayStart::Reset);
        assert_eq!(check(9, 7, None), ReplayStart::Reset);
        assert_eq!(check(-1, 7, Some(5)), ReplayStart::Reset);
        assert_eq!(check(i64::MIN, i64::MAX, Some(5)), ReplayStart::Reset);
    }
}
