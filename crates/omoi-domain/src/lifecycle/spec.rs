//! Transitions of specs, and the actions they decide on.

mod approve;
mod archive;
mod base_suite;
mod begin;
mod cancel;
mod deliver;
mod direct;
mod edit;
pub mod finish;
mod model;
mod resume;
mod return_phase;
mod suite;
mod task_retried;

pub use approve::approve_spec;
pub use archive::expect_archivable;
pub use base_suite::{BaseSuiteFacts, BaseSuiteStep, SuiteBaseRun, base_suite_step};
pub use begin::{begin_spec, execute_spec};
pub use cancel::{CancelFacts, cancel_spec};
pub use deliver::deliver_as_it_stands;
pub use direct::{
    BaseEnding, DirectFacts, DirectProof, DirectStep, NEEDS_CHECK, NO_CHECK_GIVEN, direct_step,
    give_up_direct,
};
pub use edit::{EditedPhase, edit_output, expect_editable, restore_outputs, retitle_spec};
pub use model::{ModelChange, adopt_first_model, adopt_model};
pub use resume::{ResumeRoute, resume_planning, resume_route, resume_work};
pub use return_phase::return_phase;
pub use suite::{StandingSuite, SuiteChange, SuiteFacts, change_suite};
pub use task_retried::spec_of_retried_task;

use crate::block::SpecBlock;
use crate::id::TaskId;
use crate::merge::IntegrationState;
use crate::phase::Phase;
use crate::retry::PhaseFailure;
use crate::spec::{PhaseState, SpecStatus};
use crate::task::TaskStatus;

/// One change of a spec and of what belongs to it. Actions are applied in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecAction {
    /// Moves it along its machine; the event carries `reason`.
    Move {
        /// Status after.
        to: SpecStatus,
        /// Why, where a person may ask.
        reason: Option<String>,
    },
    /// Has it wait for something.
    Block {
        /// For what.
        block: SpecBlock,
        /// The same in words.
        reason: String,
    },
    /// Has it stand at a phase.
    SetCurrentPhase(Phase),
    /// Says whether what has landed is handed over although not every criterion is proven.
    SetAsItStands(bool),
    /// Gives a phase all its attempts again.
    ReopenPhase(Phase),
    /// Has a phase made again, with all its attempts.
    ReturnPhase {
        /// The phase.
        phase: Phase,
        /// What its agent is told.
        feedback: String,
    },
    /// Ends a phase whose attempt is under way.
    FailPhase {
        /// The phase.
        phase: Phase,
        /// Why.
        failure: PhaseFailure,
    },
    /// Cancels one of its tasks.
    CancelTask {
        /// The task.
        task: TaskId,
        /// Why.
        reason: String,
    },
}

impl SpecAction {
    /// A move that needs no reason.
    fn moved(to: SpecStatus) -> Self {
        Self::Move { to, reason: None }
    }

    /// A move for `reason`.
    fn moved_because(to: SpecStatus, reason: impl Into<String>) -> Self {
        Self::Move {
            to,
            reason: Some(reason.into()),
        }
    }
}

/// What is known of a spec when a person asks something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecFacts {
    /// Where it stands.
    pub status: SpecStatus,
    /// Whether every phase has passed and its tasks are written.
    pub is_planned: bool,
}

impl SpecFacts {
    /// The facts of a spec in `status` that stands at phase `current`; `phases` are those it began, each
    /// with where it stands.
    pub fn new(status: SpecStatus, current: Phase, phases: &[(Phase, PhaseState)]) -> Self {
        let has_passed = |phase| phases.contains(&(phase, PhaseState::Passed));
        let is_planned =
            current == Phase::Complete && Phase::ALL_WORKING.into_iter().all(has_passed);
        Self { status, is_planned }
    }

    /// The facts of a direct spec, whose task was released before or never.
    pub const fn of_direct(status: SpecStatus, was_released: bool) -> Self {
        Self {
            status,
            is_planned: was_released,
        }
    }
}

/// A task as far as its spec depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecTask {
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Whether the spec cannot be delivered without it.
    pub is_needed: bool,
}

impl SpecTask {
    /// Whether something may still happen to it by itself.
    fn is_open(&self) -> bool {
        !self.status.is_final() && self.status != TaskStatus::Blocked
    }
}

/// Why a spec does not do what a person asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecRefusal {
    /// There is no whole plan whose tasks could be worked on.
    NotPlanned,
    /// All that is left waits for a task that a person cancelled.
    TaskCancelled(TaskId),
    /// A task may still change what has landed.
    TaskOpen(TaskId),
    /// No task has landed.
    NothingLanded,
    /// Its tasks are released, or it is over: what it is planned from stays.
    AtWork,
    /// What this phase makes is not a person's to change.
    NotEditable(Phase),
    /// This phase has no accepted output yet.
    NotPassed(Phase),
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// The id of a task in tests.
    pub(super) fn task_id(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_spec_is_planned_once_every_phase_has_passed() {
        let mut phases = Phase::ALL_WORKING.map(|phase| (phase, PhaseState::Passed));
        for (current, last, expected) in [
            (Phase::Complete, PhaseState::Passed, true),
            (Phase::Complete, PhaseState::Pending, false),
            (Phase::Design, PhaseState::Passed, false),
        ] {
            phases[5].1 = last;
            let facts = SpecFacts::new(SpecStatus::Completed, current, &phases);
            assert_eq!(facts.is_planned, expected, "{current} {last}");
        }
        let begun = SpecFacts::new(SpecStatus::Completed, Phase::Complete, &phases[..5]);
        assert!(!begun.is_planned);
    }

    /// A needed task in tests.
    pub(super) fn spec_task(
        n: u128,
        status: TaskStatus,
        integration_state: IntegrationState,
    ) -> SpecTask {
        SpecTask {
            id: task_id(n),
            status,
            integration_state,
            is_needed: true,
        }
    }
}
