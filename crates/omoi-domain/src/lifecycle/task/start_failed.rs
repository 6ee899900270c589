//! A task whose start did not succeed.

use crate::id::AttemptId;
use crate::task::TaskStatus;

/// A task that could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedStart {
    /// Where it stands by now.
    pub status: TaskStatus,
    /// The attempt that has it, where it was claimed.
    pub attempt_id: Option<AttemptId>,
    /// Whether this process follows that attempt: then its end is told by whoever follows it.
    pub is_followed: bool,
}

/// What the failure counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// Nothing: the task moved on.
    Ignore,
    /// The task, which was not claimed yet.
    FailTask,
    /// The attempt that claimed the task and will never run.
    LoseAttempt(AttemptId),
}

/// Decides what a failed start counts against.
pub fn judge_failed_start(start: FailedStart) -> StartFailure {
    match (start.status, start.attempt_id) {
        (TaskStatus::Pending, _) => StartFailure::FailTask,
        (TaskStatus::Claiming, Some(attempt)) if !start.is_followed => {
            StartFailure::LoseAttempt(attempt)
        }
        _ => StartFailure::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_failed_start_counts_against_what_was_begun() {
        use StartFailure::{FailTask, Ignore, LoseAttempt};
        use TaskStatus::{Assigned, Cancelled, Claiming, Pending, Running};
        let own = AttemptId::from_uuid(Uuid::from_u128(1));
        for (status, attempt_id, is_followed, expected) in [
            (Pending, None, false, FailTask),
            // An earlier attempt at it.
            (Pending, Some(own), false, FailTask),
            (Claiming, Some(own), false, LoseAttempt(own)),
            (Claiming, Some(own), true, Ignore),
            (Claiming, None, false, Ignore),
            (Assigned, Some(own), false, Ignore),
            (Running, Some(own), true, Ignore),
            (Cancelled, None, false, Ignore),
        ] {
            let start = FailedStart {
                status,
                attempt_id,
                is_followed,
            };
            assert_eq!(judge_failed_start(start), expected, "{start:?}");
        }
    }
}
