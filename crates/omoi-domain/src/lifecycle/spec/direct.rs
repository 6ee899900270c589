//! A spec whose plan is its ticket: what must be known of the base commit before its task may run.

use super::SpecAction;
use crate::block::SpecBlock;
use crate::lifecycle::phase::{ProofFacts, ProofStep, proof_step};
use crate::lifecycle::tries::EarlierRun;
use crate::spec::SpecStatus;
use crate::time::Timestamp;

/// A command that was given with a ticket, as far as it was tried on the base commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectProof {
    /// The command.
    pub command: String,
    /// How it ended there, once it was run.
    pub base: Option<BaseEnding>,
}

/// How a command ended on the base commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseEnding {
    /// With this exit code.
    Exited(i32),
    /// A time limit or a signal ended it.
    Stopped,
}

/// What is known of a direct spec before its task may run.
#[derive(Clone, Debug)]
pub struct DirectFacts<'a> {
    /// The commands given with its ticket.
    pub proofs: &'a [DirectProof],
    /// Whether the project has a suite, which passed on the base commit.
    pub has_suite: bool,
    /// Earlier runs of the commands.
    pub runs: &'a [EarlierRun],
    /// Since when they have all their tries.
    pub since: Timestamp,
}

/// What follows for the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectStep {
    /// Its commands are run on the base commit.
    RunProofs,
    /// Their run is awaited.
    Await,
    /// It is moved.
    Move(Vec<SpecAction>),
}

/// Begins a reason that says what would show that a ticket is done.
pub const NEEDS_CHECK: &str = "needs_check";

/// Why nothing can be shown of a ticket that comes without a command, in a project without a suite.
pub const NO_CHECK_GIVEN: &str = "needs_check: neither a command was given that shows that it is done, nor has the project a suite; \
     give one with `omoi ticket checks`, then `omoi ticket unblock`";

/// Decides whether the task of a direct spec may run: each command must fail on the base commit, as one that passes there
/// shows nothing.
pub fn direct_step(facts: &DirectFacts<'_>) -> DirectStep {
    let tried = ProofFacts {
        has_open: facts.proofs.iter().any(|proof| proof.base.is_none()),
        runs: facts.runs,
        since: facts.since,
    };
    match proof_step(tried) {
        ProofStep::Await => DirectStep::Await,
        ProofStep::Run => DirectStep::RunProofs,
        ProofStep::GiveUp(why) => {
            let (block, reason) = (
                SpecBlock::Environment,
                format!(
                    "environment_fault: the commands of the ticket could not be run on the base commit: {why}"
                ),
            );
            DirectStep::Move(vec![SpecAction::Block { block, reason }])
        }
        ProofStep::GoOn => DirectStep::Move(judge_proofs(facts)),
    }
}

fn judge_proofs(facts: &DirectFacts<'_>) -> Vec<SpecAction> {
    let weak = facts.proofs.iter().find_map(|proof| {
        let command = &proof.command;
        match proof.base {
            Some(BaseEnding::Exited(0)) => Some(format!(
                "{NEEDS_CHECK}: `{command}` passes on the base commit already, so it shows nothing; give one that fails \
                 without the work"
            )),
            Some(BaseEnding::Stopped) => Some(format!(
                "{NEEDS_CHECK}: `{command}` did not end by itself on the base commit, so nobody knows what it shows"
            )),
            Some(BaseEnding::Exited(_)) | None => None,
        }
    });
    let nothing = (facts.proofs.is_empty() && !facts.has_suite).then(|| NO_CHECK_GIVEN.to_owned());
    match weak.or(nothing) {
        Some(reason) => vec![SpecAction::Block {
            block: SpecBlock::PlanNotReady,
            reason,
        }],
        None => vec![
            SpecAction::moved(SpecStatus::Completed),
            SpecAction::moved(SpecStatus::Working),
        ],
    }
}

/// Ends a direct spec whose step goes on failing.
pub fn give_up_direct(status: SpecStatus, why: &str) -> Vec<SpecAction> {
    match status {
        SpecStatus::Executing => vec![SpecAction::moved_because(
            SpecStatus::Failed,
            format!("its work could not be begun: {why}"),
        )],
        SpecStatus::Draft
        | SpecStatus::Completed
        | SpecStatus::Working
        | SpecStatus::Delivered
        | SpecStatus::Blocked
        | SpecStatus::Failed
        | SpecStatus::Cancelled => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    fn step(ends: &[Option<BaseEnding>], has_suite: bool) -> DirectStep {
        let proofs = ends.iter().map(|base| DirectProof {
            command: "make todo".to_owned(),
            base: *base,
        });
        direct_step(&DirectFacts {
            proofs: &proofs.collect::<Vec<_>>(),
            has_suite,
            runs: &[],
            since: Timestamp::from_micros(0),
        })
    }

    fn blocked(step: &DirectStep) -> &str {
        match step {
            DirectStep::Move(actions) => match &actions[..] {
                [SpecAction::Block { block, reason }] => {
                    assert_eq!(*block, SpecBlock::PlanNotReady);
                    reason
                }
                other => unreachable!("{other:?}"),
            },
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_task_runs_once_its_commands_fail_without_it() {
        use BaseEnding::{Exited, Stopped};
        let released = DirectStep::Move(vec![
            SpecAction::moved(SpecStatus::Completed),
            SpecAction::moved(SpecStatus::Working),
        ]);
        for has_suite in [false, true] {
            assert_eq!(step(&[None], has_suite), DirectStep::RunProofs);
            assert_eq!(
                step(&[Some(Exited(1)), None], has_suite),
                DirectStep::RunProofs
            );
            assert_eq!(
                step(&[Some(Exited(1)), Some(Exited(2))], has_suite),
                released
            );
            for (ends, part) in [
                (
                    vec![Some(Exited(1)), Some(Exited(0))],
                    "passes on the base commit",
                ),
                (vec![Some(Stopped)], "did not end by itself"),
            ] {
                let stopped = step(&ends, has_suite);
                let reason = blocked(&stopped);
                assert!(
                    reason.starts_with(NEEDS_CHECK) && reason.contains(part),
                    "{reason}"
                );
            }
        }
        assert_eq!(step(&[], true), released);
        assert_eq!(blocked(&step(&[], false)), NO_CHECK_GIVEN);
        assert!(transition(SpecStatus::Executing, SpecStatus::Completed).is_ok());
        assert!(transition(SpecStatus::Completed, SpecStatus::Working).is_ok());
    }

    #[test]
    fn one_that_cannot_be_begun_fails() {
        for status in SpecStatus::ALL.iter().copied() {
            let actions = give_up_direct(status, "no disk");
            assert_eq!(
                actions.is_empty(),
                status != SpecStatus::Executing,
                "{status}"
            );
        }
    }
}
