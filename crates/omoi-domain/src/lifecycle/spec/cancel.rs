//! A person cancels a spec.

use super::{SpecAction, SpecTask};
use crate::phase::Phase;
use crate::retry::PhaseFailure;
use crate::spec::{PhaseState, SpecStatus};

/// What belongs to a spec that a person cancels.
#[derive(Clone, Copy, Debug)]
pub struct CancelFacts<'a> {
    /// Its tasks.
    pub tasks: &'a [SpecTask],
    /// Its phases, each with where it stands.
    pub phases: &'a [(Phase, PhaseState)],
}

/// Cancels a spec with every task that is not over, and ends the phase that is under way.
pub fn cancel_spec(facts: CancelFacts<'_>) -> Vec<SpecAction> {
    let open = facts.tasks.iter().filter(|task| !task.status.is_final());
    let tasks = open.map(|task| SpecAction::CancelTask {
        task: task.id,
        reason: "its spec was cancelled".to_owned(),
    });
    let under_way = facts
        .phases
        .iter()
        .filter(|(_, state)| matches!(state, PhaseState::Running | PhaseState::Backoff));
    let phases = under_way.map(|(phase, _)| SpecAction::FailPhase {
        phase: *phase,
        failure: PhaseFailure::Cancelled,
    });
    let spec = SpecAction::moved_because(SpecStatus::Cancelled, "cancelled by a person");
    tasks.chain(phases).chain([spec]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{spec_task, task_id};
    use super::*;
    use crate::merge::IntegrationState;
    use crate::task::TaskStatus;

    #[test]
    fn what_is_over_stays_as_it_is() {
        let tasks: Vec<_> = (1..)
            .zip(TaskStatus::ALL)
            .map(|(n, status)| spec_task(n, *status, IntegrationState::None))
            .collect();
        let phases: Vec<_> = Phase::ALL_WORKING
            .into_iter()
            .zip(PhaseState::ALL.iter().copied())
            .collect();
        let actions = cancel_spec(CancelFacts {
            tasks: &tasks,
            phases: &phases,
        });
        let (last, others) = actions.split_last().unwrap();
        let reason = "cancelled by a person";
        assert_eq!(
            *last,
            SpecAction::moved_because(SpecStatus::Cancelled, reason)
        );
        for (n, status) in (1..).zip(TaskStatus::ALL) {
            let is_cancelled = others.iter().any(
                |action| matches!(action, SpecAction::CancelTask { task, .. } if *task == task_id(n)),
            );
            assert_eq!(is_cancelled, !status.is_final(), "{status}");
        }
        for (phase, state) in phases {
            let ended = SpecAction::FailPhase {
                phase,
                failure: PhaseFailure::Cancelled,
            };
            let is_under_way = matches!(state, PhaseState::Running | PhaseState::Backoff);
            assert_eq!(others.contains(&ended), is_under_way, "{state}");
        }
    }
}
