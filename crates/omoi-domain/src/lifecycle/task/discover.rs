//! Work that an agent found on its way becomes a task.

use super::TaskAction;
use crate::block::TaskBlock;
use crate::discovery::{
    DiscoveredWork, DiscoveryCaps, DiscoveryType, FOUND_WORK_PREFIX, broken_cap,
};
use crate::task::{Priority, TaskType, TicketPhase};

/// What an agent says of the work it found.
#[derive(Clone, Copy, Debug)]
pub struct ReportedWork {
    /// The kind of work.
    pub discovery_type: DiscoveryType,
    /// Whether it matters more than the work it was found at.
    pub is_boosted: bool,
    /// The part of its ticket's life it belongs to, where that was said.
    pub phase: Option<TicketPhase>,
    /// Whether a check came with it.
    pub has_check: bool,
}

/// What is known of the spec in which work was found.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryFacts {
    /// What discoveries have added before.
    pub added: DiscoveredWork,
    /// Most work that they may add.
    pub caps: DiscoveryCaps,
    /// How much the task matters whose agent found it.
    pub source_priority: Priority,
    /// Tasks of the spec that were found on the way.
    pub n_found: usize,
    /// The last place in the order of the spec's tasks.
    pub last_ordinal: i64,
    /// Whether the project has a suite.
    pub has_suite: bool,
}

/// What proves work that was found on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryProof {
    /// The check that came with it.
    Own,
    /// The project's suite.
    Suite,
    /// Nothing can.
    Missing,
}

/// The task that found work becomes, as far as it differs from the work it was found at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredTask {
    /// Its name within the plan.
    pub local_id: String,
    /// Its place in the order of the spec's tasks.
    pub ordinal: i64,
    /// The kind of work.
    pub task_type: TaskType,
    /// The part of its ticket's life it belongs to.
    pub phase: TicketPhase,
    /// How much it matters.
    pub priority: Priority,
    /// Discoveries in a row that led to it.
    pub depth: u32,
    /// What proves it.
    pub proof: DiscoveryProof,
    /// What follows once it is written.
    pub actions: Vec<TaskAction>,
}

/// What becomes of found work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryStep {
    /// It is written down and no more, because of this cap.
    Refuse(String),
    /// It becomes a task.
    Add(DiscoveredTask),
}

/// Decides whether found work becomes a task, and which. One that nothing could prove waits for a
/// person.
pub fn judge_discovery(work: ReportedWork, facts: DiscoveryFacts) -> DiscoveryStep {
    if let Some(cap) = broken_cap(facts.added, facts.caps) {
        return DiscoveryStep::Refuse(cap);
    }
    let (proof, actions) = match (work.has_check, facts.has_suite) {
        (true, _) => (DiscoveryProof::Own, Vec::new()),
        (false, true) => (DiscoveryProof::Suite, Vec::new()),
        (false, false) => {
            let block = TaskBlock::NoCheck;
            let reason = block.kind().to_string();
            (
                DiscoveryProof::Missing,
                vec![TaskAction::Block { block, reason }],
            )
        }
    };
    DiscoveryStep::Add(DiscoveredTask {
        local_id: format!("{FOUND_WORK_PREFIX}{:03}", facts.n_found + 1),
        ordinal: facts.last_ordinal + 1,
        task_type: work.discovery_type.task_type(),
        phase: work.phase.unwrap_or(TicketPhase::Implementation),
        priority: match work.is_boosted {
            true => facts.source_priority.one_higher(),
            false => facts.source_priority,
        },
        depth: facts.added.depth + 1,
        proof,
        actions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> DiscoveryFacts {
        DiscoveryFacts {
            added: DiscoveredWork {
                depth: 1,
                of_task: 0,
                of_spec: 2,
            },
            caps: DiscoveryCaps {
                depth: 2,
                per_task: 3,
                per_spec: 5,
            },
            source_priority: Priority::Medium,
            n_found: 2,
            last_ordinal: 7,
            has_suite: true,
        }
    }

    fn work() -> ReportedWork {
        ReportedWork {
            discovery_type: DiscoveryType::Bug,
            is_boosted: false,
            phase: None,
            has_check: true,
        }
    }

    #[test]
    fn found_work_becomes_a_task_that_something_can_prove() {
        let blocked = || {
            let reason = "needs_check".to_owned();
            let block = TaskBlock::NoCheck;
            vec![TaskAction::Block { block, reason }]
        };
        for (has_check, has_suite, proof, actions) in [
            (true, true, DiscoveryProof::Own, vec![]),
            (true, false, DiscoveryProof::Own, vec![]),
            (false, true, DiscoveryProof::Suite, vec![]),
            (false, false, DiscoveryProof::Missing, blocked()),
        ] {
            let facts = DiscoveryFacts {
                has_suite,
                ..facts()
            };
            let step = judge_discovery(
                ReportedWork {
                    has_check,
                    ..work()
                },
                facts,
            );
            let expected = DiscoveryStep::Add(DiscoveredTask {
                local_id: "DIS-003".to_owned(),
                ordinal: 8,
                task_type: TaskType::FixBug,
                phase: TicketPhase::Implementation,
                priority: Priority::Medium,
                depth: 2,
                proof,
                actions,
            });
            assert_eq!(step, expected, "{has_check} {has_suite}");
        }
    }

    #[test]
    fn a_boost_a_phase_and_the_caps_are_heeded() {
        let boosted = ReportedWork {
            is_boosted: true,
            phase: Some(TicketPhase::Testing),
            ..work()
        };
        let DiscoveryStep::Add(task) = judge_discovery(boosted, facts()) else {
            unreachable!("no cap is reached")
        };
        assert_eq!(
            (task.priority, task.phase),
            (Priority::High, TicketPhase::Testing)
        );
        let facts = DiscoveryFacts {
            added: DiscoveredWork {
                depth: 2,
                ..facts().added
            },
            ..facts()
        };
        let refused = "depth cap: 2 discoveries in a row led here".to_owned();
        assert_eq!(
            judge_discovery(work(), facts),
            DiscoveryStep::Refuse(refused)
        );
    }
}
