//! A person has a spec go on where it stopped.

use super::{SpecAction, SpecFacts, SpecRefusal, SpecTask};
use crate::phase::Phase;
use crate::spec::{PhaseState, SpecStatus};
use crate::task::TaskStatus;

/// Where a spec goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeRoute {
    /// It is delivered: nothing is left to do.
    Delivered,
    /// It is at work already.
    UnderWay,
    /// Its whole plan waits for a person to approve it.
    WaitsForApproval,
    /// Its tasks are worked on.
    Work,
    /// What is missing of its plan is planned.
    Planning,
}

/// Decides where a spec goes on.
pub fn resume_route(facts: SpecFacts) -> ResumeRoute {
    match facts.status {
        SpecStatus::Delivered => ResumeRoute::Delivered,
        SpecStatus::Executing | SpecStatus::Working => ResumeRoute::UnderWay,
        SpecStatus::Completed if facts.is_planned => ResumeRoute::WaitsForApproval,
        // One that cannot go on, as a cancelled one, is refused by its machine.
        _ if facts.is_planned => ResumeRoute::Work,
        _ => ResumeRoute::Planning,
    }
}

/// Has the tasks of a spec worked on again, all of them. `tasks` are as they stand once what failed is
/// back in the queue; `n_weak_accepted` criteria were let stand by the person who asks, if they did.
///
/// # Errors
/// [`SpecRefusal::TaskCancelled`] where nothing is left to do but what a person cancelled.
pub fn resume_work(
    tasks: &[SpecTask],
    n_weak_accepted: Option<u64>,
) -> Result<Vec<SpecAction>, SpecRefusal> {
    if !tasks.iter().any(SpecTask::is_open) {
        let is_missing = |task: &&SpecTask| task.is_needed && task.status == TaskStatus::Cancelled;
        if let Some(task) = tasks.iter().find(is_missing) {
            return Err(SpecRefusal::TaskCancelled(task.id));
        }
    }
    let reason = n_weak_accepted.map(|n| format!("a person lets weak criteria stand: {n}"));
    let to = SpecStatus::Working;
    Ok(vec![
        SpecAction::SetAsItStands(false),
        SpecAction::Move { to, reason },
    ])
}

/// Plans a spec from the phase where it stopped: the phases at fault get all their attempts again, and
/// keep their items and their feedback.
pub fn resume_planning(current: Phase, phases: &[(Phase, PhaseState)]) -> Vec<SpecAction> {
    let at_fault = phases.iter().filter(|(phase, state)| match state {
        PhaseState::Failed => true,
        PhaseState::Passed => *phase == current,
        PhaseState::Pending | PhaseState::Running | PhaseState::Backoff => false,
    });
    at_fault
        .map(|(phase, _)| SpecAction::ReopenPhase(*phase))
        .chain([SpecAction::moved(SpecStatus::Executing)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{spec_task, task_id};
    use super::*;
    use crate::merge::IntegrationState;

    #[test]
    fn a_spec_goes_on_where_it_stopped() {
        use ResumeRoute::{Delivered, Planning, UnderWay, WaitsForApproval, Work};
        for (status, planned, unplanned) in [
            (SpecStatus::Draft, Work, Planning),
            (SpecStatus::Executing, UnderWay, UnderWay),
            (SpecStatus::Completed, WaitsForApproval, Planning),
            (SpecStatus::Working, UnderWay, UnderWay),
            (SpecStatus::Delivered, Delivered, Delivered),
            (SpecStatus::Blocked, Work, Planning),
            (SpecStatus::Failed, Work, Planning),
            (SpecStatus::Cancelled, Work, Planning),
        ] {
            for (is_planned, expected) in [(true, planned), (false, unplanned)] {
                let facts = SpecFacts { status, is_planned };
                assert_eq!(resume_route(facts), expected, "{facts:?}");
            }
        }
    }

    #[test]
    fn work_goes_on_unless_a_person_cancelled_all_that_is_left() {
        let task = |n, status| spec_task(n, status, IntegrationState::None);
        let dropped = SpecTask {
            is_needed: false,
            ..task(2, TaskStatus::Cancelled)
        };
        let on = |reason: Option<&str>| {
            Ok(vec![
                SpecAction::SetAsItStands(false),
                SpecAction::Move {
                    to: SpecStatus::Working,
                    reason: reason.map(ToOwned::to_owned),
                },
            ])
        };
        for (first, second, n_weak, expected) in [
            (
                task(1, TaskStatus::Completed),
                task(2, TaskStatus::Cancelled),
                None,
                Err(SpecRefusal::TaskCancelled(task_id(2))),
            ),
            (
                task(1, TaskStatus::Blocked),
                task(2, TaskStatus::Cancelled),
                Some(1),
                Err(SpecRefusal::TaskCancelled(task_id(2))),
            ),
            (
                task(1, TaskStatus::Pending),
                task(2, TaskStatus::Cancelled),
                None,
                on(None),
            ),
            (task(1, TaskStatus::Completed), dropped, None, on(None)),
            (
                task(1, TaskStatus::Completed),
                task(2, TaskStatus::Completed),
                Some(3),
                on(Some("a person lets weak criteria stand: 3")),
            ),
        ] {
            let tasks = [first, second];
            assert_eq!(resume_work(&tasks, n_weak), expected, "{tasks:?}");
        }
    }

    #[test]
    fn only_phases_at_fault_are_planned_again() {
        for (state, current, is_reopened) in [
            (PhaseState::Failed, Phase::Design, true),
            (PhaseState::Failed, Phase::Prd, true),
            (PhaseState::Passed, Phase::Design, true),
            (PhaseState::Passed, Phase::Tasks, false),
            (PhaseState::Pending, Phase::Design, false),
            (PhaseState::Running, Phase::Design, false),
            (PhaseState::Backoff, Phase::Design, false),
        ] {
            let actions = resume_planning(current, &[(Phase::Design, state)]);
            let reopened = SpecAction::ReopenPhase(Phase::Design);
            assert_eq!(actions.contains(&reopened), is_reopened, "{state}");
            assert_eq!(
                actions.last(),
                Some(&SpecAction::moved(SpecStatus::Executing))
            );
        }
    }
}
