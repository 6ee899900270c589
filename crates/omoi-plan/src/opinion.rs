//! A second opinion on a plan: whether its checks could pass while what they prove is violated.

use omoi_domain::check::CheckKind;
use omoi_domain::opinion::{CheckDoubt, PlanOpinion};

use crate::ids::check_id;
use crate::outputs::TasksOutput;
use crate::outputs::tasks::PlannedCheck;

/// Doubts that go back to the planner or to people at most.
const DOUBTS_MAX: usize = 20;
/// Characters of one doubt that are kept.
const DOUBT_CHARS_MAX: usize = 1_000;

/// The proof checks of a plan with their ids, in plan order.
pub fn plan_proofs(tasks: &TasksOutput) -> impl Iterator<Item = (String, &PlannedCheck)> {
    tasks.tasks.iter().flat_map(|task| {
        let numbered = task.checks.iter().enumerate();
        let proofs = numbered.filter(|(_, check)| check.kind == CheckKind::Proof);
        proofs.map(|(n, check)| (check_id(&task.id, n + 1), check))
    })
}

/// `opinion` without doubts that name no proof of `tasks` or no criterion of it, and within the
/// sizes that are kept. What cites nothing that can be looked at counts for nothing.
pub fn grounded_opinion(opinion: PlanOpinion, tasks: &TasksOutput) -> PlanOpinion {
    let is_cited = |doubt: &CheckDoubt| {
        let mut own = plan_proofs(tasks).filter(|(id, _)| *id == doubt.check);
        own.any(|(_, check)| check.criteria.contains(&doubt.criterion))
    };
    let kept = opinion.doubts.into_iter().filter(is_cited).take(DOUBTS_MAX);
    let doubts = kept.map(|doubt| CheckDoubt {
        how: doubt.how.trim().chars().take(DOUBT_CHARS_MAX).collect(),
        ..doubt
    });
    PlanOpinion {
        doubts: doubts.collect(),
    }
}

/// What follows from an opinion on an output that passed its gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpinionStep {
    /// The phase passes.
    GoOn,
    /// The planner gets one more attempt, and is told this.
    SendBack(String),
}

/// What follows from `opinion`: an objection goes back once, and never takes the last attempt.
pub fn opinion_step(
    opinion: &PlanOpinion,
    was_sent_back: bool,
    has_attempts_left: bool,
) -> OpinionStep {
    match opinion.planner_objection() {
        Some(says) if !was_sent_back && has_attempts_left => OpinionStep::SendBack(says),
        _ => OpinionStep::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::coverage::fixtures;

    fn doubt(check: &str, criterion: &str, blocking: bool) -> CheckDoubt {
        CheckDoubt {
            check: check.to_owned(),
            criterion: criterion.to_owned(),
            how: " It returns a constant. ".to_owned(),
            blocking,
        }
    }

    #[test]
    fn a_doubt_that_cites_nothing_counts_for_nothing() {
        let mut tasks = fixtures::plan("TKT-001: TSK-001, TSK-002");
        let check = |kind, criterion: &str| PlannedCheck {
            kind,
            command: "true".to_owned(),
            files: BTreeMap::new(),
            criteria: vec![criterion.to_owned()],
            timeout_s: None,
        };
        tasks.tasks[0].checks = vec![
            check(CheckKind::Regression, "REQ-A#1"),
            check(CheckKind::Proof, "REQ-A#1"),
        ];
        let ids: Vec<String> = plan_proofs(&tasks).map(|(id, _)| id).collect();
        assert_eq!(ids, ["TSK-001/2"]);
        let opinion = PlanOpinion {
            doubts: vec![
                doubt("TSK-001/1", "REQ-A#1", true),
                doubt("TSK-001/2", "REQ-A#2", true),
                doubt("TSK-009/1", "REQ-A#1", true),
                doubt("TSK-001/2", "REQ-A#1", false),
            ],
        };
        let grounded = grounded_opinion(opinion, &tasks);
        assert_eq!(grounded.doubts.len(), 1);
        assert_eq!(grounded.doubts[0].how, "It returns a constant.");
        assert_eq!(grounded.planner_objection(), None);
    }

    #[test]
    fn an_objection_goes_back_once_and_never_takes_the_last_attempt() {
        let of = |blocking| PlanOpinion {
            doubts: vec![doubt("TSK-001/1", "REQ-A#1", blocking)],
        };
        for (opinion, was_sent_back, has_left, goes_back) in [
            (of(true), false, true, true),
            (of(true), true, true, false),
            (of(true), false, false, false),
            (of(false), false, true, false),
            (PlanOpinion::default(), false, true, false),
        ] {
            let step = opinion_step(&opinion, was_sent_back, has_left);
            let found = match &step {
                OpinionStep::SendBack(says) => {
                    assert!(says.contains("TSK-001/1 for REQ-A#1"), "{says}");
                    true
                }
                OpinionStep::GoOn => false,
            };
            assert_eq!(found, goes_back, "{opinion:?} {was_sent_back} {has_left}");
        }
    }
}
