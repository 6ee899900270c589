//! Results: what an agent or a person says came of a task, and of a whole ticket, which is the workflow that earlier
//! interfaces speak of.
//!
//! A result is a text. What it says of a task is verified when the checks of the task pass, or by a person; what it says
//! of a ticket is judged by a person against the criteria that the ticket has for its result.

/// Bytes of a result.
pub const RESULT_BYTES_MAX: usize = 100 << 10;
/// Characters of its summary.
pub const SUMMARY_CHARS_MAX: usize = 500;
/// Criteria that one ticket has for its result.
pub const RESULT_CRITERIA_MAX: usize = 20;
/// Characters of one of them.
pub const CRITERION_CHARS_MAX: usize = 500;
/// Results of one ticket that wait for a person, and results of one task.
pub const OPEN_RESULTS_MAX: u32 = 20;
/// Characters of what a person says of a result.
pub const FEEDBACK_CHARS_MAX: usize = 5_000;

crate::closed_set! {
    /// What a result is about.
    ResultScope {
        /// A task.
        Task = "task",
        /// A ticket, which has criteria for it.
        Workflow = "workflow",
    }
}

crate::closed_set! {
    /// What a result of a task tells of.
    ResultType {
        /// What was built.
        Implementation = "implementation",
        /// What was found out.
        Analysis = "analysis",
        /// What was mended.
        Fix = "fix",
        /// What was designed.
        Design = "design",
        /// What was tested.
        Test = "test",
        /// What was written down.
        Documentation = "documentation",
    }
}

crate::machine! {
    /// Whether what a result says of a task holds.
    VerificationStatus ("task result") {
        /// Nobody has looked.
        Unverified = "unverified",
        /// It does.
        Verified = "verified",
        /// It does not.
        Disputed = "disputed",
    }
    Unverified => Verified: TaskResultVerified, Disputed: TaskResultDisputed;
}

crate::machine! {
    /// Whether a result of a ticket meets its criteria.
    WorkflowResultStatus ("workflow result") {
        /// Nobody has judged it.
        PendingValidation = "pending_validation",
        /// It does.
        Validated = "validated",
        /// It does not.
        Rejected = "rejected",
    }
    PendingValidation => Validated: WorkflowResultValidated, Rejected: WorkflowResultRejected;
}

crate::closed_set! {
    /// What follows when a result meets the criteria of its ticket.
    OnResultFound {
        /// The tasks of the ticket that are not over are cancelled, and their agents stopped.
        StopAll = "stop_all",
        /// Nothing.
        DoNothing = "do_nothing",
    }
}

/// Why a result, or what is said of one, is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultRefusal {
    /// There is nothing in it, or too much.
    #[error("a result has 1 to {RESULT_BYTES_MAX} bytes")]
    Length,
    /// The summary is none.
    #[error("a summary is one line of 1 to {SUMMARY_CHARS_MAX} characters")]
    Summary,
    /// The criteria are none.
    #[error(
        "a ticket has 1 to {RESULT_CRITERIA_MAX} different criteria of 1 to {CRITERION_CHARS_MAX} characters for its result"
    )]
    Criteria,
    /// Nobody says why.
    #[error("a refusal says why, in at most {FEEDBACK_CHARS_MAX} characters")]
    Feedback,
    /// Something is unmet that is no criterion.
    #[error("what is unmet is named by the words of the criterion")]
    UnknownCriterion,
    /// A result passes that does not meet every criterion.
    #[error("a result passes that meets every criterion")]
    UnmetCriterion,
    /// The ticket asks for no result.
    #[error("the ticket has no criteria for a result")]
    NoCriteria,
    /// There is a result that met them.
    #[error("the ticket has a validated result already")]
    AlreadyValidated,
    /// Somebody has judged it.
    #[error("the result was judged already")]
    AlreadyJudged,
    /// There are too many.
    #[error("there are {OPEN_RESULTS_MAX} results already")]
    TooMany,
}

/// Whether `content` and `summary` can be a result.
///
/// # Errors
/// [`ResultRefusal::Length`], [`ResultRefusal::Summary`].
pub fn check_result(content: &str, summary: &str) -> Result<(), ResultRefusal> {
    if content.trim().is_empty() || content.len() > RESULT_BYTES_MAX {
        return Err(ResultRefusal::Length);
    }
    let is_line = !summary.trim().is_empty() && !summary.contains(['\n', '\r']);
    match is_line && summary.chars().count() <= SUMMARY_CHARS_MAX {
        true => Ok(()),
        false => Err(ResultRefusal::Summary),
    }
}

/// The criteria as they are kept: trimmed, in their order.
///
/// # Errors
/// [`ResultRefusal::Criteria`].
pub fn given_criteria(criteria: &[String]) -> Result<Vec<String>, ResultRefusal> {
    let kept: Vec<String> = criteria.iter().map(|text| text.trim().to_owned()).collect();
    let is_good = |text: &String| (1..=CRITERION_CHARS_MAX).contains(&text.chars().count());
    let mut unique = kept.clone();
    unique.sort();
    unique.dedup();
    let is_count_good = (1..=RESULT_CRITERIA_MAX).contains(&kept.len());
    match is_count_good && unique.len() == kept.len() && kept.iter().all(is_good) {
        true => Ok(kept),
        false => Err(ResultRefusal::Criteria),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_words_and_a_line_about_them() {
        assert_eq!(check_result("# Done", "Done"), Ok(()));
        assert_eq!(check_result(" \n", "Done"), Err(ResultRefusal::Length));
        let long = "x".repeat(RESULT_BYTES_MAX);
        assert_eq!(check_result(&long, "Done"), Ok(()));
        assert_eq!(
            check_result(&format!("{long}x"), "Done"),
            Err(ResultRefusal::Length)
        );
        for summary in ["", " ", "two\nlines", &"x".repeat(SUMMARY_CHARS_MAX + 1)] {
            assert_eq!(
                check_result("x", summary),
                Err(ResultRefusal::Summary),
                "{summary:?}"
            );
        }
    }

    #[test]
    fn criteria_are_different_and_not_empty() {
        let given = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            given_criteria(&texts)
        };
        assert_eq!(
            given(&[" a ", "b"]),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        for bad in [&[][..], &["a", " a"], &["a", " "], &["x"; 21]] {
            assert_eq!(given(bad), Err(ResultRefusal::Criteria), "{bad:?}");
        }
    }
}
