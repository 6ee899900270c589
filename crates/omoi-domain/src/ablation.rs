//! Ablation: whether the proofs of a criterion need the work that claims it.
//!
//! A proof fails on the base commit and passes at the head, but that alone does not say why. So the
//! commits of the tasks that serve a requirement are taken back from the head, and its proofs run
//! once more: what stays green was not made green by this work. Everything here is decided from
//! rows and commit names; nothing is run.

mod budget;
mod take_back;

use std::collections::BTreeSet;

pub use budget::CheckBudget;
pub use take_back::{BranchLanding, MergedWork, TakeBackStep, branch_landings, take_back_ways};

use crate::id::TaskId;

crate::closed_set! {
    /// What ablation found out about a criterion.
    AblationVerdict {
        /// Without the work one of its proofs is red.
        Needed = "needed",
        /// Without the work all its proofs are green: proven, but not by this work.
        Weak = "weak",
        /// The work could not be taken back.
        Unknown = "unknown",
        /// The time for it was spent.
        NotTried = "not_tried",
    }
}

/// How a proof ended without the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofWithout {
    /// It failed: the proof needs the work.
    Red,
    /// It passed: the proof does not need the work.
    Green,
    /// It was not run, or not to its end, because the time for it was spent.
    Cut,
}

/// The verdict on a criterion from all its proofs.
pub fn ablation_verdict(proofs: &[ProofWithout]) -> AblationVerdict {
    if proofs.contains(&ProofWithout::Red) {
        AblationVerdict::Needed
    } else if proofs.contains(&ProofWithout::Cut) {
        AblationVerdict::NotTried
    } else {
        AblationVerdict::Weak
    }
}

/// What a task has to do with requirements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingTask {
    /// Row id of the task.
    pub id: TaskId,
    /// Requirements the plan has it serve, `REQ-…`.
    pub requirements: BTreeSet<String>,
    /// The task whose agent found it.
    pub found_by: Option<TaskId>,
}

/// The tasks that serve `requirement`: those planned for it, the owners of its proofs, and whatever
/// the agents of these found and had done, since their work may have moved there.
pub fn tasks_serving(
    requirement: &str,
    provers: &BTreeSet<TaskId>,
    tasks: &[ServingTask],
) -> BTreeSet<TaskId> {
    let mut serving: BTreeSet<TaskId> = tasks
        .iter()
        .filter(|task| task.requirements.contains(requirement) || provers.contains(&task.id))
        .map(|task| task.id)
        .collect();
    loop {
        let found = tasks.iter().filter(|task| {
            let by = task.found_by.is_some_and(|by| serving.contains(&by));
            by && !serving.contains(&task.id)
        });
        let found: Vec<TaskId> = found.map(|task| task.id).collect();
        if found.is_empty() {
            return serving;
        }
        serving.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    pub(super) fn task(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    fn serving(n: u128, requirements: &[&str], found_by: Option<u128>) -> ServingTask {
        ServingTask {
            id: task(n),
            requirements: requirements.iter().map(|r| (*r).to_owned()).collect(),
            found_by: found_by.map(task),
        }
    }

    #[test]
    fn one_red_proof_is_enough_and_a_cut_one_is_no_verdict() {
        use AblationVerdict::{Needed, NotTried, Weak};
        use ProofWithout::{Cut, Green, Red};
        for (proofs, expected) in [
            (&[Red][..], Needed),
            (&[Green, Red], Needed),
            (&[Cut, Red], Needed),
            (&[Green], Weak),
            (&[Green, Green], Weak),
            (&[Green, Cut], NotTried),
            (&[Cut], NotTried),
            // Nothing was taken back, since nothing of its tasks landed.
            (&[], Weak),
        ] {
            assert_eq!(ablation_verdict(proofs), expected, "{proofs:?}");
        }
        for verdict in AblationVerdict::ALL {
            assert_eq!(AblationVerdict::parse(verdict.as_str()), Some(*verdict));
        }
    }

    #[test]
    fn work_that_was_found_serves_what_its_finder_serves() {
        let all = [
            serving(1, &["REQ-1"], None),
            serving(2, &["REQ-2", "REQ-1"], None),
            serving(3, &[], None),
            serving(4, &[], Some(3)),
            serving(5, &[], Some(4)),
            serving(6, &[], Some(9)),
        ];
        let of = |requirement, provers: &[u128]| {
            let provers = provers.iter().map(|n| task(*n)).collect();
            tasks_serving(requirement, &provers, &all)
        };
        let expected = |all: &[u128]| all.iter().map(|n| task(*n)).collect::<BTreeSet<_>>();
        assert_eq!(of("REQ-1", &[]), expected(&[1, 2]));
        assert_eq!(of("REQ-2", &[]), expected(&[2]));
        // The owner of a proof serves, whatever the plan says of it, and so does what it led to.
        assert_eq!(of("REQ-2", &[3]), expected(&[2, 3, 4, 5]));
        assert_eq!(of("REQ-9", &[]), expected(&[]));
    }
}
