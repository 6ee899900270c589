//! An attempt that has had its time.

use std::time::Duration;

use super::AttemptLoss;
use crate::attempt::{AttemptState, AttemptStopReason};
use crate::retry::ErrorClass;
use crate::time::Timestamp;

/// How long a worker may still report its own end once its time is over.
const REPORT_TIME: Duration = Duration::from_mins(1);

/// The wall time of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptTime {
    /// When its worker began.
    pub started_at: Timestamp,
    /// How long it may run.
    pub limit: Duration,
}

impl AttemptTime {
    /// When its time is over.
    pub fn ends_at(self) -> Timestamp {
        self.started_at + self.limit
    }

    /// Whether its time was over for so long at `now` that its worker will not end it.
    pub fn is_overdue(self, now: Timestamp) -> bool {
        now >= self.ends_at() + REPORT_TIME
    }

    /// How an overdue attempt ends; it counts as a failed one.
    pub fn as_loss(self) -> AttemptLoss {
        AttemptLoss {
            state: AttemptState::Failed,
            stop_reason: AttemptStopReason::MaxDurationReached,
            class: ErrorClass::Timeout,
            message: format!("it ran for longer than its {} s", self.limit.as_secs()),
            counts: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_its_time_and_a_minute_to_report() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let time = AttemptTime {
            started_at: at(100),
            limit: Duration::from_secs(60),
        };
        assert_eq!(time.ends_at(), at(160));
        for (now, expected) in [(100, false), (160, false), (219, false), (220, true)] {
            assert_eq!(time.is_overdue(at(now)), expected, "{now}");
        }
        let loss = time.as_loss();
        assert!(loss.counts && loss.class.is_retryable(), "{loss:?}");
    }
}
