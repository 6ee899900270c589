//! An attempt at a phase ended in an error rather than an output.

use super::PhaseRefusal;
use crate::retry::{ErrorClass, PhaseFailure};

/// What the error of an attempt means for its phase.
#[derive(Clone, Debug, PartialEq)]
pub enum FailedPhaseAttempt {
    /// The model provider failed it, which is no attempt of the model.
    Provider,
    /// It counts.
    Refused(PhaseRefusal),
}

/// Decides what an attempt that failed with `class` means for its phase.
pub fn judge_failed_attempt(class: ErrorClass, message: &str) -> FailedPhaseAttempt {
    let kind = PhaseFailure::of_class(class);
    if kind == PhaseFailure::ProviderUnavailable {
        return FailedPhaseAttempt::Provider;
    }
    let (is_last, feedback) = match (kind.is_retryable(), class.is_retryable()) {
        (false, _) => (true, format!("{kind}: {message}")),
        // As a platform's key that is missing or refused, which no attempt mends.
        (true, false) => (true, format!("{class}: {message}")),
        (true, true) => (false, format!("{kind} ({class}): {message}")),
    };
    FailedPhaseAttempt::Refused(PhaseRefusal {
        kind,
        feedback,
        output: None,
        is_last,
        is_doubt: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_decides_whether_another_attempt_follows() {
        for (class, expected) in [
            (ErrorClass::Upstream5xx, None),
            (ErrorClass::AuthFailed, None),
            (
                ErrorClass::QuotaExceeded,
                Some((true, "budget_exhausted: it fell over")),
            ),
            (
                ErrorClass::PermissionDenied,
                Some((true, "permission_denied: it fell over")),
            ),
            (
                ErrorClass::AgentError,
                Some((false, "execution_error (agent_error): it fell over")),
            ),
            (
                ErrorClass::Timeout,
                Some((false, "timeout (timeout): it fell over")),
            ),
        ] {
            match judge_failed_attempt(class, "it fell over") {
                FailedPhaseAttempt::Provider => assert_eq!(expected, None, "{class}"),
                FailedPhaseAttempt::Refused(refusal) => {
                    let found = (refusal.is_last, refusal.feedback.as_str());
                    assert_eq!(Some(found), expected, "{class}");
                }
            }
        }
    }
}
