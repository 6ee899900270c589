//! What may be tried again, when, and when to stop trying.
//!
//! The class of a failure decides, never its text. Jitter is a parameter, so a delay can be
//! computed again.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::task::TaskType;

/// Longest delay before a task is tried again.
pub const TASK_DELAY_MAX: Duration = Duration::from_mins(1);
/// Least and greatest jitter factor of a task's delay.
pub const JITTER: std::ops::RangeInclusive<f64> = 0.75..=1.25;
/// Retries a task is given unless it says otherwise.
pub const TASK_RETRIES_MAX: u32 = 3;
/// Equal failures on one ticket that stop retries.
pub const REPEAT_SIGNATURE_LIMIT: usize = 3;
/// Longest delay before a planning phase is tried again.
pub const PHASE_DELAY_MAX: Duration = Duration::from_mins(1);

crate::closed_set! {
    /// Why an attempt at a task failed.
    ErrorClass {
        /// The sandbox vanished while the attempt ran.
        SandboxLost = "sandbox_lost",
        /// No sandbox could be made.
        ProvisionFailed = "provision_failed",
        /// A connection of the platform's own failed: between a worker and its socket, or one that a
        /// start needs. What fails between the platform and a model provider is an upstream's class.
        Network = "network",
        /// The attempt ran out of time.
        Timeout = "timeout",
        /// The worker stopped reporting.
        Heartbeat = "heartbeat",
        /// The worker reports but does nothing.
        Stuck = "stuck",
        /// Memory, disk or processes ran out.
        ResourceExhausted = "resource_exhausted",
        /// The agent program failed.
        AgentError = "agent_error",
        /// The model provider failed.
        Upstream5xx = "upstream_5xx",
        /// The model provider asks for patience.
        RateLimited = "rate_limited",
        /// The model provider refuses the request itself, as it would again.
        UpstreamRefused = "upstream_refused",
        /// The model declines what it is asked to do.
        ModelDeclined = "model_declined",
        /// The model writes calls of tools into its words, where nobody runs them.
        ToolsInWords = "tools_in_words",
        /// A credential was refused.
        AuthFailed = "auth_failed",
        /// A right is missing.
        PermissionDenied = "permission_denied",
        /// The task makes no sense as written.
        InvalidTask = "invalid_task",
        /// The repository or a ref of it is gone.
        RepoMissing = "repo_missing",
        /// A budget or quota is spent.
        QuotaExceeded = "quota_exceeded",
        /// The work broke a rule of the platform.
        PolicyViolation = "policy_violation",
        /// None of the above.
        Unknown = "unknown",
    }
}

impl ErrorClass {
    /// Whether another attempt can help.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::SandboxLost
            | Self::ProvisionFailed
            | Self::Network
            | Self::Timeout
            | Self::Heartbeat
            | Self::Stuck
            | Self::ResourceExhausted
            | Self::AgentError
            | Self::Upstream5xx
            | Self::RateLimited
            | Self::Unknown => true,
            Self::UpstreamRefused
            | Self::ModelDeclined
            | Self::ToolsInWords
            | Self::AuthFailed
            | Self::PermissionDenied
            | Self::InvalidTask
            | Self::RepoMissing
            | Self::QuotaExceeded
            | Self::PolicyViolation => false,
        }
    }
}

/// The wait before retry `retry_count` (from 1) of a task: 1, 2, 4 … seconds times `jitter`, at
/// most [`TASK_DELAY_MAX`]. A jitter outside [`JITTER`] is brought to its nearer end.
pub fn task_delay(retry_count: u32, jitter: f64) -> Duration {
    let exponent = retry_count.saturating_sub(1).min(16) as i32;
    let jitter = jitter.max(*JITTER.start()).min(*JITTER.end());
    Duration::from_secs_f64((2f64.powi(exponent) * jitter).min(TASK_DELAY_MAX.as_secs_f64()))
}

/// What two failures have in common when they are the same failure: task type, class and message
/// without case, spacing, numbers and hashes.
pub fn failure_signature(task_type: TaskType, class: ErrorClass, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in [
        task_type.as_str(),
        class.as_str(),
        &normalise_message(message),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

/// Whether `signature` stands often enough among the failures of one ticket, the newest included,
/// to stop retries.
pub fn is_repeating<'a>(signature: &str, failures: impl IntoIterator<Item = &'a str>) -> bool {
    let equal = failures.into_iter().filter(|s| *s == signature).count();
    equal >= REPEAT_SIGNATURE_LIMIT
}

/// Words with a digit in them become `#`: line numbers, times, ids and hashes differ between
/// occurrences of one fault.
fn normalise_message(message: &str) -> String {
    let lower = message.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty());
    let masked: Vec<&str> = words
        .map(|w| {
            if w.chars().any(|c| c.is_ascii_digit()) {
                "#"
            } else {
                w
            }
        })
        .collect();
    masked.join(" ")
}

crate::closed_set! {
    /// Why an attempt at a planning phase failed.
    PhaseFailure {
        /// The gate refused the output.
        EvaluationFailed = "evaluation_failed",
        /// The agent or its sandbox failed.
        ExecutionError = "execution_error",
        /// The attempt ran out of time.
        Timeout = "timeout",
        /// The output could not be read.
        InvalidOutput = "invalid_output",
        /// The phase or the spec has spent its money.
        BudgetExhausted = "budget_exhausted",
        /// The model provider is out, or refuses this platform.
        ProviderUnavailable = "provider_unavailable",
        /// A person called it off.
        Cancelled = "cancelled",
    }
}

impl PhaseFailure {
    /// What an attempt that ended with `class` means for its phase.
    pub const fn of_class(class: ErrorClass) -> Self {
        match class {
            ErrorClass::QuotaExceeded => Self::BudgetExhausted,
            ErrorClass::Timeout => Self::Timeout,
            ErrorClass::Upstream5xx
            | ErrorClass::RateLimited
            | ErrorClass::UpstreamRefused
            | ErrorClass::ModelDeclined
            | ErrorClass::ToolsInWords
            | ErrorClass::AuthFailed => Self::ProviderUnavailable,
            ErrorClass::SandboxLost
            | ErrorClass::ProvisionFailed
            | ErrorClass::Network
            | ErrorClass::Heartbeat
            | ErrorClass::Stuck
            | ErrorClass::ResourceExhausted
            | ErrorClass::AgentError
            | ErrorClass::PermissionDenied
            | ErrorClass::InvalidTask
            | ErrorClass::RepoMissing
            | ErrorClass::PolicyViolation
            | ErrorClass::Unknown => Self::ExecutionError,
        }
    }
}

/// The wait after failed attempt `attempt` (from 1) of a phase: 2, 4, 8 … seconds, at most
/// [`PHASE_DELAY_MAX`]. How many attempts there are is not asked here.
pub fn phase_delay(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.clamp(1, 16)).min(PHASE_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]

    use super::*;

    #[test]
    fn classes_are_closed_and_keep_their_names() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::parse(class.as_str()), Some(*class));
            let json = serde_json::to_string(class).unwrap();
            assert_eq!(json, format!("\"{class}\""));
            assert_eq!(serde_json::from_str::<ErrorClass>(&json).unwrap(), *class);
        }
        assert_eq!(ErrorClass::parse("rate limit"), None);
        let final_classes: Vec<_> = ErrorClass::ALL
            .iter()
            .filter(|c| !c.is_retryable())
            .map(|c| c.as_str())
            .collect();
        assert_eq!(
            final_classes,
            [
                "upstream_refused",
                "model_declined",
                "tools_in_words",
                "auth_failed",
                "permission_denied",
                "invalid_task",
                "repo_missing",
                "quota_exceeded",
                "policy_violation"
            ]
        );
    }

    #[test]
    fn task_delays_double_up_to_a_minute() {
        for (retry, jitter, expected_s) in [
            (1, 1.0, 1.0),
            (2, 1.0, 2.0),
            (3, 0.75, 3.0),
            (3, 1.25, 5.0),
            (6, 1.25, 40.0),
            (7, 1.0, 60.0),
            (7, 0.75, 48.0),
            (4_000, 0.75, 60.0),
            (0, 1.0, 1.0),
            (1, 9.0, 1.25),
            (1, f64::NAN, 0.75),
        ] {
            let got = task_delay(retry, jitter).as_secs_f64();
            assert!((got - expected_s).abs() < 1e-9, "{retry} {jitter}: {got}");
        }
    }

    #[test]
    fn three_equal_failures_stop_retries() {
        let sign = |message| {
            failure_signature(TaskType::ImplementFeature, ErrorClass::AgentError, message)
        };
        let first = sign("Exit code 1 at src/a.py:12 (0x7f3a)");
        let second = sign("exit code 137  at src/a.py:99 (0x11bb)");
        let other = sign("exit code 1 at src/b.py:12 (0x7f3a)");
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_ne!(
            first,
            failure_signature(
                TaskType::WriteTests,
                ErrorClass::AgentError,
                "Exit code 1 at src/a.py:12 (0x7f3a)"
            )
        );
        assert!(!is_repeating(&first, [&*first, &other, &second]));
        assert!(is_repeating(&first, [&*first, &other, &second, &first]));
    }

    #[test]
    fn phases_wait_two_seconds_then_twice_as_long_up_to_a_minute() {
        let waits: Vec<_> = (1..=7).map(|n| phase_delay(n).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(phase_delay(u32::MAX), PHASE_DELAY_MAX);
    }

    #[test]
    fn an_attempts_class_says_how_its_phase_failed() {
        for (class, expected) in [
            (ErrorClass::QuotaExceeded, PhaseFailure::BudgetExhausted),
            (ErrorClass::Timeout, PhaseFailure::Timeout),
            (ErrorClass::Network, PhaseFailure::ExecutionError),
            (ErrorClass::Upstream5xx, PhaseFailure::ProviderUnavailable),
            (ErrorClass::RateLimited, PhaseFailure::ProviderUnavailable),
            (ErrorClass::AuthFailed, PhaseFailure::ProviderUnavailable),
            (ErrorClass::PermissionDenied, PhaseFailure::ExecutionError),
            (ErrorClass::Stuck, PhaseFailure::ExecutionError),
        ] {
            assert_eq!(PhaseFailure::of_class(class), expected, "{class}");
        }
    }
}
