//! What becomes of results when they are judged, and of the tasks of a ticket whose result is.

use crate::id::TaskId;
use crate::task::TaskStatus;
use crate::work_result::{
    FEEDBACK_CHARS_MAX, OnResultFound, ResultRefusal, VerificationStatus, WorkflowResultStatus,
};

/// What somebody says of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultJudgement {
    /// Whether it passes.
    pub passed: bool,
    /// Why.
    pub feedback: String,
    /// The criteria that it does not meet, in their words.
    pub unmet: Vec<String>,
}

impl ResultJudgement {
    /// Whether enough is said.
    fn check_feedback(&self) -> Result<(), ResultRefusal> {
        let n_chars = self.feedback.chars().count();
        let is_silent = self.feedback.trim().is_empty();
        match n_chars > FEEDBACK_CHARS_MAX || (is_silent && !self.passed) {
            true => Err(ResultRefusal::Feedback),
            false => Ok(()),
        }
    }
}

/// What becomes of a result of a task.
///
/// # Errors
/// [`ResultRefusal`] where that cannot be said of it.
pub fn judge_task_result(
    status: VerificationStatus,
    said: &ResultJudgement,
) -> Result<VerificationStatus, ResultRefusal> {
    if status != VerificationStatus::Unverified {
        return Err(ResultRefusal::AlreadyJudged);
    }
    said.check_feedback()?;
    if !said.unmet.is_empty() {
        return Err(ResultRefusal::UnknownCriterion);
    }
    if said.passed {
        return Ok(VerificationStatus::Verified);
    }
    Ok(VerificationStatus::Disputed)
}

/// What is known of a result of a ticket when somebody judges it.
#[derive(Clone, Debug)]
pub struct WorkflowResultFacts<'a> {
    /// Where it stands.
    pub status: WorkflowResultStatus,
    /// What it was to meet when it was submitted.
    pub criteria: &'a [String],
    /// Whether another result of the ticket met the criteria.
    pub has_validated: bool,
}

/// What becomes of a result of a ticket.
///
/// # Errors
/// [`ResultRefusal`] where that cannot be said of it.
pub fn judge_workflow_result(
    facts: &WorkflowResultFacts<'_>,
    said: &ResultJudgement,
) -> Result<WorkflowResultStatus, ResultRefusal> {
    if facts.status != WorkflowResultStatus::PendingValidation {
        return Err(ResultRefusal::AlreadyJudged);
    }
    said.check_feedback()?;
    if said
        .unmet
        .iter()
        .any(|unmet| !facts.criteria.contains(unmet))
    {
        return Err(ResultRefusal::UnknownCriterion);
    }
    if !said.passed {
        return Ok(WorkflowResultStatus::Rejected);
    }
    if !said.unmet.is_empty() {
        return Err(ResultRefusal::UnmetCriterion);
    }
    if facts.has_validated {
        return Err(ResultRefusal::AlreadyValidated);
    }
    Ok(WorkflowResultStatus::Validated)
}

/// What the move of a task to `status` says of the results that its agents submitted, and why; none where it says nothing.
pub fn verification_by_move(status: TaskStatus) -> Option<(VerificationStatus, &'static str)> {
    match status {
        TaskStatus::Completed => {
            let holds = VerificationStatus::Verified;
            Some((holds, "the checks of the task passed"))
        }
        TaskStatus::NeedsRevision => {
            let fails = VerificationStatus::Disputed;
            Some((fails, "the task was sent back"))
        }
        TaskStatus::Pending
        | TaskStatus::Claiming
        | TaskStatus::Assigned
        | TaskStatus::Running
        | TaskStatus::PendingValidation
        | TaskStatus::Validating
        | TaskStatus::Blocked
        | TaskStatus::Failed
        | TaskStatus::Cancelled => None,
    }
}

/// The tasks that are cancelled when a result met the criteria of their ticket.
pub fn tasks_to_stop(
    on_result_found: OnResultFound,
    tasks: impl IntoIterator<Item = (TaskId, TaskStatus)>,
) -> Vec<TaskId> {
    let tasks = tasks.into_iter().filter(|(_, status)| !status.is_final());
    match on_result_found {
        OnResultFound::StopAll => tasks.map(|(task, _)| task).collect(),
        OnResultFound::DoNothing => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn said(passed: bool, feedback: &str, unmet: &[&str]) -> ResultJudgement {
        ResultJudgement {
            passed,
            feedback: feedback.to_owned(),
            unmet: unmet.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn a_result_of_a_ticket_passes_that_meets_every_criterion() {
        use WorkflowResultStatus::{PendingValidation, Rejected, Validated};
        let criteria = ["fast".to_owned(), "small".to_owned()];
        let judge = |status, has_validated, said: &ResultJudgement| {
            let facts = WorkflowResultFacts {
                status,
                criteria: &criteria,
                has_validated,
            };
            judge_workflow_result(&facts, said)
        };
        for (status, has_validated, judgement, expected) in [
            (PendingValidation, false, said(true, "", &[]), Ok(Validated)),
            (
                PendingValidation,
                true,
                said(true, "", &[]),
                Err(ResultRefusal::AlreadyValidated),
            ),
            (
                PendingValidation,
                true,
                said(false, "slow", &["fast"]),
                Ok(Rejected),
            ),
            (
                PendingValidation,
                false,
                said(false, "no", &[]),
                Ok(Rejected),
            ),
            (
                PendingValidation,
                false,
                said(false, " ", &["fast"]),
                Err(ResultRefusal::Feedback),
            ),
            (
                PendingValidation,
                false,
                said(true, "", &["fast"]),
                Err(ResultRefusal::UnmetCriterion),
            ),
            (
                PendingValidation,
                false,
                said(false, "no", &["red"]),
                Err(ResultRefusal::UnknownCriterion),
            ),
            (
                Validated,
                false,
                said(false, "no", &[]),
                Err(ResultRefusal::AlreadyJudged),
            ),
            (
                Rejected,
                false,
                said(true, "", &[]),
                Err(ResultRefusal::AlreadyJudged),
            ),
        ] {
            let found = judge(status, has_validated, &judgement);
            assert_eq!(found, expected, "{status} {judgement:?}");
        }
    }

    #[test]
    fn a_result_of_a_task_is_judged_once() {
        use VerificationStatus::{Disputed, Unverified, Verified};
        for (status, judgement, expected) in [
            (Unverified, said(true, "", &[]), Ok(Verified)),
            (Unverified, said(false, "it is red", &[]), Ok(Disputed)),
            (
                Unverified,
                said(false, "", &[]),
                Err(ResultRefusal::Feedback),
            ),
            (
                Unverified,
                said(true, "", &["x"]),
                Err(ResultRefusal::UnknownCriterion),
            ),
            (
                Verified,
                said(false, "no", &[]),
                Err(ResultRefusal::AlreadyJudged),
            ),
            (
                Disputed,
                said(true, "", &[]),
                Err(ResultRefusal::AlreadyJudged),
            ),
        ] {
            assert_eq!(judge_task_result(status, &judgement), expected, "{status}");
        }
    }

    #[test]
    fn checks_say_whether_a_result_of_a_task_holds() {
        for status in TaskStatus::ALL {
            let expected = match status {
                TaskStatus::Completed => Some(VerificationStatus::Verified),
                TaskStatus::NeedsRevision => Some(VerificationStatus::Disputed),
                _ => None,
            };
            let found = verification_by_move(*status).map(|(to, _)| to);
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn what_is_over_is_not_stopped() {
        let id = |n| TaskId::from_uuid(Uuid::from_u128(n));
        let tasks = || {
            [
                (id(1), TaskStatus::Running),
                (id(2), TaskStatus::Completed),
                (id(3), TaskStatus::Pending),
                (id(4), TaskStatus::Cancelled),
            ]
        };
        assert_eq!(
            tasks_to_stop(OnResultFound::StopAll, tasks()),
            [id(1), id(3)]
        );
        assert_eq!(tasks_to_stop(OnResultFound::DoNothing, tasks()), []);
    }
}
