//! An attempt at a phase ended in an error rather than an output.

use super::PhaseRefusal;
use crate::retry::{ErrorClass, PhaseFailure};

/// What the error of an attempt means for its phase.
#[derive(Clone, Debug, PartialEq)]
pub enum FailedPhaseAttempt {
    /// The model provider failed it, which is no attempt of the model.
    Provider,
    /// A budget was spent before it was done, which is no attempt of the model either.
    OverBudget,
    /// It counts.
    Refused(PhaseRefusal),
}

/// Decides what an attempt that failed with `class` means for its phase.
pub fn judge_failed_attempt(class: ErrorClass, message: &str) -> FailedPhaseAttempt {
    let kind = PhaseFailure::of_class(class);
    match kind {
        PhaseFailure::ProviderUnavailable => return FailedPhaseAttempt::Provider,
        PhaseFailure::BudgetExhausted => return FailedPhaseAttempt::OverBudget,
        PhaseFailure::EvaluationFailed
        | PhaseFailure::ExecutionError
        | PhaseFailure::Timeout
        | PhaseFailure::InvalidOutput
        | PhaseFailure::Cancelled => {}
    }
    let (is_last, feedback) = match class.is_retryable() {
        // As a right that is missing, which no attempt mends.
        false => (true, format!("{class}: {message}")),
        true => (false, format!("{kind} ({class}): {message}")),
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
            (
                ErrorClass::PermissionDenied,
                (true, "permission_denied: it fell over"),
            ),
            (
                ErrorClass::AgentError,
                (false, "execution_error (agent_error): it fell over"),
            ),
            (
                ErrorClass::Timeout,
                (false, "timeout (timeout): it fell over"),
            ),
        ] {
            match judge_failed_attempt(class, "it fell over") {
                FailedPhaseAttempt::Refused(refusal) => {
                    let found = (refusal.is_last, refusal.feedback.as_str());
                    assert_eq!(found, expected, "{class}");
                }
                other => panic!("{class}: {other:?}"),
            }
        }
        for (class, expected) in [
            (ErrorClass::Upstream5xx, FailedPhaseAttempt::Provider),
            (ErrorClass::AuthFailed, FailedPhaseAttempt::Provider),
            (ErrorClass::QuotaExceeded, FailedPhaseAttempt::OverBudget),
        ] {
            assert_eq!(judge_failed_attempt(class, "it fell over"), expected);
        }
    }
}
