//! A sandbox that is gone, or that never came up, before its worker told how the attempt ended.

use super::AttemptLoss;
use crate::attempt::{AttemptState, AttemptStopReason};
use crate::retry::ErrorClass;

/// The limit of a sandbox that stopped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppingLimit {
    /// The limit in words, with what was used of it.
    pub description: String,
    /// Whether the machine is short of it, which is no fault of the agent's.
    pub is_of_machine: bool,
}

/// How a sandbox ended, as the platform saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxExit {
    /// It ran longer than its wall time.
    pub timed_out: bool,
    /// The watcher stopped it for breaking this limit.
    pub limit: Option<StoppingLimit>,
    /// The kernel killed some of it for want of memory.
    pub out_of_memory: bool,
    /// Exit code or signal.
    pub status: String,
    /// What it last printed.
    pub last_output: Option<String>,
}

/// Decides how an attempt ends whose sandbox is gone without an outcome. `is_stopping` says that the
/// process was asked to stop, and so were its workers.
pub fn sandbox_exited(exit: &SandboxExit, is_stopping: bool) -> AttemptLoss {
    let last_output = exit.last_output.as_deref();
    let last_output = last_output.map(|output| format!(": {output}"));
    let limit = exit.limit.as_ref();
    let broken = limit.map(|limit| format!("{}; ", limit.description));
    let message = format!(
        "{}the worker ended ({}) without an outcome{}",
        broken.unwrap_or_default(),
        exit.status,
        last_output.unwrap_or_default()
    );
    let (stop_reason, class) = if exit.timed_out {
        (AttemptStopReason::MaxDurationReached, ErrorClass::Timeout)
    } else if limit.is_some() {
        let reason = AttemptStopReason::ResourceExhausted;
        (reason, ErrorClass::ResourceExhausted)
    } else if exit.out_of_memory {
        (
            AttemptStopReason::OutOfMemory,
            ErrorClass::ResourceExhausted,
        )
    } else {
        (AttemptStopReason::SandboxLost, ErrorClass::SandboxLost)
    };
    let loss = AttemptLoss {
        state: AttemptState::Failed,
        stop_reason,
        class,
        message,
        counts: true,
    };
    let interrupted = |stop_reason| AttemptLoss {
        state: AttemptState::Interrupted,
        stop_reason,
        counts: false,
        ..loss.clone()
    };
    if is_stopping && !exit.timed_out {
        // It was asked to stop before it could say anything.
        return interrupted(AttemptStopReason::ShutdownSignal);
    }
    if limit.is_some_and(|limit| limit.is_of_machine) {
        return interrupted(AttemptStopReason::DiskLow);
    }
    loss
}

/// How an attempt ends whose sandbox could not be made or started.
pub fn start_failed(class: ErrorClass, message: String) -> AttemptLoss {
    AttemptLoss {
        state: AttemptState::Failed,
        stop_reason: AttemptStopReason::ProvisionFailed,
        class,
        message,
        counts: true,
    }
}

/// How an attempt ends that could not start since something outside, which it needs, did not answer for as long as it is
/// waited for: that is none of its task's retries.
pub fn start_postponed(class: ErrorClass, message: String) -> AttemptLoss {
    AttemptLoss {
        state: AttemptState::Interrupted,
        counts: false,
        ..start_failed(class, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn each_end_without_an_outcome_has_its_reason() {
        use AttemptState::{Failed, Interrupted};
        use AttemptStopReason::{
            DiskLow, MaxDurationReached, OutOfMemory, ResourceExhausted, SandboxLost,
            ShutdownSignal,
        };
        let exit = SandboxExit {
            timed_out: false,
            limit: None,
            out_of_memory: false,
            status: "signal 9".to_owned(),
            last_output: Some("last words".to_owned()),
        };
        let timed_out = SandboxExit {
            timed_out: true,
            ..exit.clone()
        };
        let of_limit = |is_of_machine| SandboxExit {
            limit: Some(StoppingLimit {
                description: "9 processes of 8".to_owned(),
                is_of_machine,
            }),
            ..exit.clone()
        };
        let out_of_memory = SandboxExit {
            out_of_memory: true,
            ..exit.clone()
        };
        for (exit, is_stopping, state, stop_reason, class) in [
            (
                &timed_out,
                false,
                Failed,
                MaxDurationReached,
                ErrorClass::Timeout,
            ),
            (
                &timed_out,
                true,
                Failed,
                MaxDurationReached,
                ErrorClass::Timeout,
            ),
            (
                &out_of_memory,
                false,
                Failed,
                OutOfMemory,
                ErrorClass::ResourceExhausted,
            ),
            (
                &of_limit(false),
                false,
                Failed,
                ResourceExhausted,
                ErrorClass::ResourceExhausted,
            ),
            (
                &of_limit(true),
                false,
                Interrupted,
                DiskLow,
                ErrorClass::ResourceExhausted,
            ),
            (&exit, false, Failed, SandboxLost, ErrorClass::SandboxLost),
            (
                &exit,
                true,
                Interrupted,
                ShutdownSignal,
                ErrorClass::SandboxLost,
            ),
        ] {
            let loss = sandbox_exited(exit, is_stopping);
            let decided = (loss.state, loss.stop_reason, loss.class);
            assert_eq!(decided, (state, stop_reason, class), "{exit:?}");
            assert_eq!(loss.counts, state == Failed, "an interruption is no fault");
            assert!(loss.message.contains("signal 9"), "{}", loss.message);
            assert!(loss.message.ends_with(": last words"), "{}", loss.message);
            let names_limit = loss.message.starts_with("9 processes of 8; ");
            assert_eq!(names_limit, exit.limit.is_some(), "{}", loss.message);
        }
    }

    #[test]
    fn a_failed_start_keeps_its_class() {
        let loss = start_failed(ErrorClass::PolicyViolation, "it shows a home".to_owned());
        assert_eq!(loss.class, ErrorClass::PolicyViolation);
        assert_eq!(loss.stop_reason, AttemptStopReason::ProvisionFailed);
        assert!(loss.counts);
        let postponed = start_postponed(ErrorClass::Network, "nobody answers".to_owned());
        assert_eq!(postponed.class, ErrorClass::Network);
        assert_eq!(postponed.state, AttemptState::Interrupted);
        assert!(!postponed.counts);
    }
}
