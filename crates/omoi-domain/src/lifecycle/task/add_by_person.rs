//! A person adds a task to a spec that is worked on.

use super::{DiscoveryProof, TaskAction};
use crate::block::TaskBlock;
use crate::spec::SpecStatus;

/// Begins the name within its spec of a task that a person added.
pub const ADDED_WORK_PREFIX: &str = "ADD-";
/// Tasks that people may add to one spec.
pub const ADDED_TASKS_MAX: usize = 100;

/// What is known of the spec that a task is to join.
#[derive(Clone, Copy, Debug)]
pub struct AddedWorkFacts {
    /// Where it stands.
    pub spec: SpecStatus,
    /// Whether the ticket of the task is done.
    pub is_ticket_done: bool,
    /// Tasks that people added to it.
    pub n_added: usize,
    /// The last place in the order of its tasks.
    pub last_ordinal: i64,
    /// Whether a check comes with the task.
    pub has_check: bool,
    /// Whether the project has a suite.
    pub has_suite: bool,
}

/// The task that joins a spec, as far as rules decide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedTask {
    /// Its name within the spec.
    pub local_id: String,
    /// Its place in the order of the spec's tasks.
    pub ordinal: i64,
    /// What proves it.
    pub proof: DiscoveryProof,
    /// What follows once it is written.
    pub actions: Vec<TaskAction>,
}

/// Why a task does not join a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddedTaskRefusal {
    /// Nobody works on the spec: its plan can be changed, or it is over.
    #[error("its spec is {0}; a task joins a spec that is worked on")]
    NotAtWork(SpecStatus),
    /// Nothing is left to do of the ticket.
    #[error("the ticket is done")]
    TicketDone,
    /// People have added as many as they may.
    #[error("people have added {ADDED_TASKS_MAX} tasks to its spec already")]
    TooMany,
}

/// Decides whether a task joins a spec, and what proves it. One that nothing could prove waits for a person.
///
/// # Errors
/// [`AddedTaskRefusal`].
pub fn add_by_person(facts: AddedWorkFacts) -> Result<AddedTask, AddedTaskRefusal> {
    match facts.spec {
        SpecStatus::Working => {}
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Delivered
        | SpecStatus::Blocked
        | SpecStatus::Failed
        | SpecStatus::Cancelled => return Err(AddedTaskRefusal::NotAtWork(facts.spec)),
    }
    if facts.is_ticket_done {
        return Err(AddedTaskRefusal::TicketDone);
    }
    if facts.n_added >= ADDED_TASKS_MAX {
        return Err(AddedTaskRefusal::TooMany);
    }
    let (proof, actions) = match (facts.has_check, facts.has_suite) {
        (true, _) => (DiscoveryProof::Own, Vec::new()),
        (false, true) => (DiscoveryProof::Suite, Vec::new()),
        (false, false) => {
            let block = TaskBlock::NoCheck;
            let reason = block.kind().to_string();
            let blocked = vec![TaskAction::Block { block, reason }];
            (DiscoveryProof::Missing, blocked)
        }
    };
    Ok(AddedTask {
        local_id: format!("{ADDED_WORK_PREFIX}{:03}", facts.n_added + 1),
        ordinal: facts.last_ordinal + 1,
        proof,
        actions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> AddedWorkFacts {
        AddedWorkFacts {
            spec: SpecStatus::Working,
            is_ticket_done: false,
            n_added: 2,
            last_ordinal: 7,
            has_check: true,
            has_suite: true,
        }
    }

    #[test]
    fn a_task_joins_a_spec_that_is_worked_on_alone() {
        for status in SpecStatus::ALL.iter().copied() {
            let added = add_by_person(AddedWorkFacts {
                spec: status,
                ..facts()
            });
            let expected = match status {
                SpecStatus::Working => None,
                _ => Some(AddedTaskRefusal::NotAtWork(status)),
            };
            assert_eq!(added.err(), expected, "{status}");
        }
        let refused = |facts| add_by_person(facts).err();
        let done = AddedWorkFacts {
            is_ticket_done: true,
            ..facts()
        };
        assert_eq!(refused(done), Some(AddedTaskRefusal::TicketDone));
        let many = AddedWorkFacts {
            n_added: ADDED_TASKS_MAX,
            ..facts()
        };
        assert_eq!(refused(many), Some(AddedTaskRefusal::TooMany));
    }

    #[test]
    fn its_check_the_suite_or_a_person_proves_it() {
        for (has_check, has_suite, proof, n_actions) in [
            (true, true, DiscoveryProof::Own, 0),
            (true, false, DiscoveryProof::Own, 0),
            (false, true, DiscoveryProof::Suite, 0),
            (false, false, DiscoveryProof::Missing, 1),
        ] {
            let added = add_by_person(AddedWorkFacts {
                has_check,
                has_suite,
                ..facts()
            });
            let added = added.unwrap_or_else(|refused| unreachable!("{refused}"));
            assert_eq!((added.local_id.as_str(), added.ordinal), ("ADD-003", 8));
            assert_eq!((added.proof, added.actions.len()), (proof, n_actions));
        }
    }
}
