//! The proofs of tasks that a person changed, as they ended on the base commit.

use super::PhaseAction;
use crate::block::SpecBlock;
use crate::phase::Phase;

/// A proof of a task, tried on the base commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedProof {
    /// The task, by its id in the plan.
    pub task: String,
    /// The command.
    pub command: String,
    /// Its exit code; none where its time limit or a signal ended it.
    pub exit: Option<i32>,
}

/// Has the spec wait for a person before sync where a proof shows nothing: their tasks stay as they are until they change
/// them, as an agent that planned them again would not know what they want. Nothing where each failed, as it must.
pub fn judge_edited_proofs(proofs: &[TriedProof]) -> Vec<PhaseAction> {
    let faults = proofs.iter().filter_map(|proof| {
        let TriedProof {
            task,
            command,
            exit,
        } = proof;
        match exit {
            Some(0) => Some(format!(
                "`{command}` of {task} passes on the base commit already, so it shows nothing"
            )),
            None => Some(format!(
                "`{command}` of {task} did not end by itself on the base commit, so nobody knows what it shows"
            )),
            Some(_) => None,
        }
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        return Vec::new();
    }
    let reason = format!(
        "not ready for execution: {}; change the checks of the task, then resume",
        faults.join("; ")
    );
    PhaseAction::block_spec(Phase::Sync, SpecBlock::PlanNotReady, reason).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_must_fail_on_the_base_commit() {
        let proof = |exit| TriedProof {
            task: "TSK-004".to_owned(),
            command: "make todo".to_owned(),
            exit,
        };
        assert!(judge_edited_proofs(&[]).is_empty());
        assert!(judge_edited_proofs(&[proof(Some(1)), proof(Some(127))]).is_empty());
        for (exit, says) in [
            (Some(0), "passes on the base"),
            (None, "did not end by itself"),
        ] {
            let actions = judge_edited_proofs(&[proof(Some(1)), proof(exit)]);
            let blocked = actions.iter().find_map(|action| match action {
                PhaseAction::BlockSpec { block, reason } => Some((*block, reason.clone())),
                _ => None,
            });
            let (block, reason) = blocked.unwrap_or_else(|| unreachable!("{actions:?}"));
            assert_eq!(block, SpecBlock::PlanNotReady);
            assert!(
                reason.contains(says) && reason.contains("TSK-004"),
                "{reason}"
            );
        }
    }
}
