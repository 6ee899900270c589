//! A person wants what has landed, although the plan is not done.

use super::{SpecAction, SpecFacts, SpecRefusal, SpecTask};
use crate::merge::IntegrationState;
use crate::spec::SpecStatus;

/// Has what landed of a spec handed over as it stands. One that is delivered stays as it is.
///
/// # Errors
/// [`SpecRefusal::NotPlanned`], [`SpecRefusal::TaskOpen`], [`SpecRefusal::NothingLanded`].
pub fn deliver_as_it_stands(
    facts: SpecFacts,
    tasks: &[SpecTask],
) -> Result<Vec<SpecAction>, SpecRefusal> {
    if facts.status == SpecStatus::Delivered {
        return Ok(Vec::new());
    }
    let is_begun = matches!(
        facts.status,
        SpecStatus::Working | SpecStatus::Blocked | SpecStatus::Failed
    );
    if !is_begun || !facts.is_planned {
        return Err(SpecRefusal::NotPlanned);
    }
    if let Some(open) = tasks.iter().find(|task| task.is_open()) {
        return Err(SpecRefusal::TaskOpen(open.id));
    }
    let mut landed = tasks.iter().map(|task| task.integration_state);
    if !landed.any(IntegrationState::satisfies_dependents) {
        return Err(SpecRefusal::NothingLanded);
    }
    let mut actions = vec![SpecAction::SetAsItStands(true)];
    if facts.status != SpecStatus::Working {
        let reason = "a person wants what stands";
        actions.push(SpecAction::moved_because(SpecStatus::Working, reason));
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{spec_task, task_id};
    use super::*;
    use crate::task::TaskStatus;

    #[test]
    fn what_landed_is_handed_over_when_nothing_is_open() {
        let landed = spec_task(1, TaskStatus::Completed, IntegrationState::Merged);
        let lost = spec_task(2, TaskStatus::Failed, IntegrationState::None);
        let waits = spec_task(2, TaskStatus::Blocked, IntegrationState::None);
        let runs = spec_task(2, TaskStatus::Running, IntegrationState::None);
        let as_it_stands = SpecAction::SetAsItStands(true);
        let moved = SpecAction::moved_because(SpecStatus::Working, "a person wants what stands");
        let on = vec![as_it_stands.clone(), moved];
        for (status, is_planned, tasks, expected) in [
            (SpecStatus::Failed, true, [landed, lost], Ok(on.clone())),
            (SpecStatus::Blocked, true, [landed, waits], Ok(on)),
            (
                SpecStatus::Working,
                true,
                [landed, lost],
                Ok(vec![as_it_stands]),
            ),
            (SpecStatus::Delivered, true, [landed, lost], Ok(Vec::new())),
            (
                SpecStatus::Failed,
                true,
                [landed, runs],
                Err(SpecRefusal::TaskOpen(task_id(2))),
            ),
            (
                SpecStatus::Failed,
                true,
                [lost, waits],
                Err(SpecRefusal::NothingLanded),
            ),
            (
                SpecStatus::Failed,
                false,
                [landed, lost],
                Err(SpecRefusal::NotPlanned),
            ),
            (
                SpecStatus::Completed,
                true,
                [landed, lost],
                Err(SpecRefusal::NotPlanned),
            ),
            (
                SpecStatus::Cancelled,
                true,
                [landed, lost],
                Err(SpecRefusal::NotPlanned),
            ),
        ] {
            let facts = SpecFacts { status, is_planned };
            assert_eq!(deliver_as_it_stands(facts, &tasks), expected, "{facts:?}");
        }
    }
}
