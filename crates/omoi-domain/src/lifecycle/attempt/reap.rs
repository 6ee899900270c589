//! An attempt that is over in truth while its row says that it lives.

use std::time::Duration;

use super::AttemptLoss;
use crate::attempt::{AttemptState, AttemptStopReason, SubjectKind};
use crate::retry::ErrorClass;
use crate::spec::SpecStatus;
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// What is known of a live attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptLiveness {
    /// The kind of work.
    pub subject_kind: SubjectKind,
    /// Where it stands.
    pub state: AttemptState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its worker last gave a sign of life.
    pub last_heartbeat_at: Option<Timestamp>,
    /// When its worker last did something.
    pub last_work_at: Option<Timestamp>,
    /// Whether a model call of it is under way, or waits for its provider: that is work.
    pub is_asking: bool,
    /// When its owner's lease ends.
    pub lease_expires_at: Timestamp,
    /// Whether this process began it.
    pub is_own: bool,
    /// Whether this process still works on it.
    pub is_followed: bool,
    /// Whether what it works on was cancelled or went to a newer attempt.
    pub is_cancelled: bool,
}

/// What an attempt works on, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptHolder {
    /// Where its spec stands.
    pub spec: SpecStatus,
    /// Its task, where it is an attempt at one.
    pub task: Option<TaskHolder>,
}

/// The task that an attempt works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskHolder {
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether a newer attempt has it.
    pub is_superseded: bool,
}

/// Whether what an attempt works on was cancelled, or failed by a person, or went to a newer attempt.
pub fn is_called_off(holder: AttemptHolder) -> bool {
    let has_lost_task = |task: TaskHolder| {
        matches!(task.status, TaskStatus::Cancelled | TaskStatus::Failed) || task.is_superseded
    };
    holder.spec == SpecStatus::Cancelled || holder.task.is_some_and(has_lost_task)
}

/// How long a worker may be silent or idle.
#[derive(Clone, Copy, Debug)]
pub struct WorkerTimeouts {
    /// Until its first report.
    pub start: Duration,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// Without any work, although it gives signs of life.
    pub stuck: Duration,
}

/// Decides whether an attempt is over in truth at `now`, and how it ends; none when it goes on, or when its
/// row says that it is over.
///
/// The lock of the data folder lets in one process that runs attempts, and this one has it: whoever else
/// began an attempt is gone, whatever its lease says.
pub fn reap_attempt(
    attempt: AttemptLiveness,
    timeouts: WorkerTimeouts,
    now: Timestamp,
) -> Option<AttemptLoss> {
    if !attempt.state.is_live() {
        return None;
    }
    let has_vanished = attempt.is_own && !attempt.is_followed && attempt.lease_expires_at <= now;
    if !attempt.is_own || has_vanished {
        return Some(AttemptLoss {
            state: AttemptState::Lost,
            stop_reason: AttemptStopReason::PlatformRestarted,
            class: ErrorClass::SandboxLost,
            message: "the process that ran it is gone".to_owned(),
            counts: false,
        });
    }
    if attempt.is_cancelled {
        return Some(AttemptLoss {
            state: AttemptState::Interrupted,
            stop_reason: AttemptStopReason::Cancelled,
            class: ErrorClass::Unknown,
            message: "it was called off".to_owned(),
            counts: false,
        });
    }
    silent_worker(attempt, timeouts, now)
}

/// A worker that does not come up, went silent, or does nothing.
fn silent_worker(
    attempt: AttemptLiveness,
    timeouts: WorkerTimeouts,
    now: Timestamp,
) -> Option<AttemptLoss> {
    if attempt.subject_kind.is_of_platform() {
        return None;
    }
    let heard_at = attempt.last_heartbeat_at.unwrap_or(attempt.created_at);
    let worked_at = attempt.last_work_at.unwrap_or(attempt.created_at);
    let (class, stop_reason, since, timeout) = if attempt.state != AttemptState::Running {
        let reason = AttemptStopReason::StartTimeout;
        (
            ErrorClass::ProvisionFailed,
            reason,
            attempt.created_at,
            timeouts.start,
        )
    } else if now.since(heard_at) > timeouts.heartbeat {
        let reason = AttemptStopReason::HeartbeatTimeout;
        (ErrorClass::Heartbeat, reason, heard_at, timeouts.heartbeat)
    } else if attempt.is_asking {
        return None;
    } else {
        (
            ErrorClass::Stuck,
            AttemptStopReason::StuckRunning,
            worked_at,
            timeouts.stuck,
        )
    };
    (now.since(since) > timeout).then(|| AttemptLoss {
        state: AttemptState::Failed,
        stop_reason,
        class,
        message: format!("no sign of the worker for {} s", timeout.as_secs()),
        counts: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: WorkerTimeouts = WorkerTimeouts {
        start: Duration::from_secs(60),
        heartbeat: Duration::from_secs(90),
        stuck: Duration::from_secs(1800),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// A worker that runs since second 0, was heard at 1000 and worked at 900.
    fn running() -> AttemptLiveness {
        AttemptLiveness {
            subject_kind: SubjectKind::Task,
            state: AttemptState::Running,
            created_at: at(0),
            last_heartbeat_at: Some(at(1000)),
            last_work_at: Some(at(900)),
            is_asking: false,
            lease_expires_at: at(1030),
            is_own: true,
            is_followed: true,
            is_cancelled: false,
        }
    }

    #[test]
    fn an_attempt_is_called_off_with_what_it_works_on() {
        let task = |status, is_superseded| {
            Some(TaskHolder {
                status,
                is_superseded,
            })
        };
        for (spec, task, expected) in [
            (SpecStatus::Working, None, false),
            (SpecStatus::Cancelled, None, true),
            (SpecStatus::Working, task(TaskStatus::Running, false), false),
            (SpecStatus::Working, task(TaskStatus::Running, true), true),
            (SpecStatus::Working, task(TaskStatus::Failed, false), true),
            (
                SpecStatus::Working,
                task(TaskStatus::Cancelled, false),
                true,
            ),
            (
                SpecStatus::Cancelled,
                task(TaskStatus::Running, false),
                true,
            ),
        ] {
            let holder = AttemptHolder { spec, task };
            assert_eq!(is_called_off(holder), expected, "{holder:?}");
        }
    }

    #[test]
    fn a_call_under_way_is_work_and_no_sign_of_life() {
        let asking = AttemptLiveness {
            is_asking: true,
            last_heartbeat_at: Some(at(90_000)),
            ..running()
        };
        assert_eq!(reap_attempt(asking, TIMEOUTS, at(90_000)), None);
        let idle = AttemptLiveness {
            is_asking: false,
            ..asking
        };
        let stuck = reap_attempt(idle, TIMEOUTS, at(90_000)).map(|loss| loss.class);
        assert_eq!(stuck, Some(ErrorClass::Stuck));
        let silent = reap_attempt(asking, TIMEOUTS, at(90_091)).map(|loss| loss.class);
        assert_eq!(silent, Some(ErrorClass::Heartbeat));
    }

    #[test]
    fn each_way_to_be_over_has_its_reason() {
        use AttemptStopReason::{
            Cancelled, HeartbeatTimeout, PlatformRestarted, StartTimeout, StuckRunning,
        };
        let starting = AttemptLiveness {
            state: AttemptState::Starting,
            last_heartbeat_at: None,
            last_work_at: None,
            ..running()
        };
        let checks = AttemptLiveness {
            subject_kind: SubjectKind::TaskChecks,
            ..running()
        };
        let heard = |seconds| AttemptLiveness {
            last_heartbeat_at: Some(at(seconds)),
            ..running()
        };
        let left = AttemptLiveness {
            is_followed: false,
            ..running()
        };
        let foreign = AttemptLiveness {
            is_own: false,
            ..running()
        };
        let cancelled = AttemptLiveness {
            is_cancelled: true,
            ..running()
        };
        // Its end was told while the reaper looked.
        let over = AttemptLiveness {
            state: AttemptState::Succeeded,
            ..foreign
        };
        for (attempt, now_s, expected) in [
            (over, 1090, None),
            (running(), 1090, None),
            (running(), 1091, Some(HeartbeatTimeout)),
            (heard(2690), 2700, None),
            (heard(2690), 2701, Some(StuckRunning)),
            (starting, 60, None),
            (starting, 61, Some(StartTimeout)),
            // The platform's own work has no worker that reports.
            (checks, 9000, None),
            // Its lease may still be renewed by whoever forgot it; after that it is lost.
            (left, 1029, None),
            (left, 1030, Some(PlatformRestarted)),
            (foreign, 1001, Some(PlatformRestarted)),
            (cancelled, 1001, Some(Cancelled)),
            (
                AttemptLiveness {
                    is_cancelled: true,
                    ..foreign
                },
                1001,
                Some(PlatformRestarted),
            ),
        ] {
            let loss = reap_attempt(attempt, TIMEOUTS, at(now_s));
            let stop_reason = loss.as_ref().map(|loss| loss.stop_reason);
            assert_eq!(stop_reason, expected, "{attempt:?} at {now_s}");
            // A silent worker is a fault; a restart or a cancellation is nobody's.
            let is_fault = !matches!(expected, Some(PlatformRestarted | Cancelled));
            assert!(loss.is_none_or(|loss| loss.counts == is_fault));
        }
    }
}
