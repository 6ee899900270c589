//! What the last checks say of the integration branch.

use super::SpecStop;
use crate::id::TaskId;
use crate::lifecycle::task::UnmetResult;

/// A task with a red check of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedTask {
    /// The task.
    pub id: TaskId,
    /// What it is told.
    pub unmet: UnmetResult,
}

/// What is known of a head whose checks were run.
#[derive(Clone, Debug)]
pub struct HeadResult {
    /// What the machine lacks, when that is why every red check is red.
    pub fault: Option<String>,
    /// Tasks with a red check of their own.
    pub red_tasks: Vec<RedTask>,
    /// The red checks, whoever they belong to.
    pub unmet: Option<UnmetResult>,
    /// Whether the plan has any acceptance criterion.
    pub has_criteria: bool,
    /// Whether the suite, which passed, is all that the work is to be judged by: a person asked for no more.
    pub suite_decides: bool,
    /// Criteria that no check proves, `REQ-…#n`.
    pub unproven: Vec<String>,
}

/// What whoever gets a branch is told that the suite alone was run on.
pub const CHECKED_NOTE: &str = "checked, not proven: no command was given that fails without the work, so the project's suite decided alone";

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadVerdict {
    /// The spec goes no further.
    Stop(SpecStop),
    /// These tasks have another round.
    SendBack(Vec<RedTask>),
    /// Every criterion is proven.
    Proven,
    /// The suite passes, and nothing shows that the work does what was asked for.
    Checked,
}

/// Decides what follows from the checks at the head. A red check that belongs to a task is the task's
/// to mend; any other is the spec's end.
pub fn judge_head(head: HeadResult) -> HeadVerdict {
    if let Some(fault) = &head.fault {
        return HeadVerdict::Stop(SpecStop::lacks(fault));
    }
    if !head.red_tasks.is_empty() {
        return HeadVerdict::SendBack(head.red_tasks);
    }
    let failed = |reason: String| HeadVerdict::Stop(SpecStop::fail(reason));
    if let Some(unmet) = head.unmet {
        let headline = unmet.feedback.lines().next().unwrap_or_default();
        return failed(format!("at the head {headline}"));
    }
    if !head.has_criteria && head.suite_decides {
        return HeadVerdict::Checked;
    }
    if !head.has_criteria {
        return failed(
            "the plan has no acceptance criterion, so nothing could be proven".to_owned(),
        );
    }
    if !head.unproven.is_empty() {
        return failed(format!("no check proves {}", head.unproven.join(", ")));
    }
    HeadVerdict::Proven
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::block::SpecBlock;
    use crate::task::UnmetCode;

    #[test]
    fn the_cause_that_can_be_mended_first_decides() {
        let unmet = UnmetResult {
            code: UnmetCode::HeadRed,
            feedback: "1 of 3 checks failed\nTraceback".to_owned(),
            recommendations: Vec::new(),
        };
        let red = RedTask {
            id: TaskId::from_uuid(Uuid::from_u128(1)),
            unmet: unmet.clone(),
        };
        let proven = HeadResult {
            fault: None,
            red_tasks: Vec::new(),
            unmet: None,
            has_criteria: true,
            suite_decides: false,
            unproven: Vec::new(),
        };
        let failed = |reason: &str| HeadVerdict::Stop(SpecStop::fail(reason));
        for (head, expected) in [
            (proven.clone(), HeadVerdict::Proven),
            (
                HeadResult {
                    fault: Some("the sandbox lacks `cargo`".to_owned()),
                    red_tasks: vec![red.clone()],
                    unmet: Some(unmet.clone()),
                    ..proven.clone()
                },
                HeadVerdict::Stop(SpecStop::wait_for(
                    SpecBlock::Environment,
                    "environment_fault: at the head the sandbox lacks `cargo`",
                )),
            ),
            (
                HeadResult {
                    red_tasks: vec![red.clone()],
                    unmet: Some(unmet.clone()),
                    unproven: vec!["REQ-A#1".to_owned()],
                    ..proven.clone()
                },
                HeadVerdict::SendBack(vec![red]),
            ),
            (
                HeadResult {
                    unmet: Some(unmet),
                    ..proven.clone()
                },
                failed("at the head 1 of 3 checks failed"),
            ),
            (
                HeadResult {
                    has_criteria: false,
                    ..proven.clone()
                },
                failed("the plan has no acceptance criterion, so nothing could be proven"),
            ),
            (
                HeadResult {
                    unproven: vec!["REQ-A#1".to_owned(), "REQ-B#2".to_owned()],
                    ..proven
                },
                failed("no check proves REQ-A#1, REQ-B#2"),
            ),
        ] {
            assert_eq!(judge_head(head.clone()), expected, "{head:?}");
        }
    }

    #[test]
    fn the_suite_alone_shows_less_than_proofs() {
        let head = |has_criteria, suite_decides| {
            judge_head(HeadResult {
                fault: None,
                red_tasks: Vec::new(),
                unmet: None,
                has_criteria,
                suite_decides,
                unproven: Vec::new(),
            })
        };
        assert_eq!(head(false, true), HeadVerdict::Checked);
        assert_eq!(head(true, true), HeadVerdict::Proven);
        assert!(matches!(head(false, false), HeadVerdict::Stop(_)));
    }
}
