//! A person changes what a spec is planned from.

use super::{SpecAction, SpecRefusal};
use crate::phase::Phase;
use crate::spec::{PhaseState, SpecStatus};

/// A phase whose accepted output a person changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditedPhase {
    /// Where its spec stands.
    pub spec: SpecStatus,
    /// The phase.
    pub phase: Phase,
    /// Where it stands.
    pub state: PhaseState,
}

/// Refuses a phase whose output is no person's to change, as sync, which is computed; and a spec whose tasks are released,
/// or that is over. The checks of tasks that a person changes are tried before sync writes them.
///
/// # Errors
/// [`SpecRefusal::NotEditable`], [`SpecRefusal::AtWork`].
pub fn expect_editable(spec: SpecStatus, phase: Phase) -> Result<(), SpecRefusal> {
    phase_after(phase)?;
    expect_changeable(spec)
}

/// Has a spec planned on, when it is resumed, from the phase after the one whose output was changed.
///
/// # Errors
/// As [`expect_editable`]; [`SpecRefusal::NotPassed`].
pub fn edit_output(edited: EditedPhase) -> Result<Vec<SpecAction>, SpecRefusal> {
    let next = phase_after(edited.phase)?;
    expect_changeable(edited.spec)?;
    if edited.state != PhaseState::Passed {
        return Err(SpecRefusal::NotPassed(edited.phase));
    }
    Ok(vec![SpecAction::SetCurrentPhase(next)])
}

/// Has every phase of a spec run again, when it is resumed, with its new title.
///
/// # Errors
/// [`SpecRefusal::AtWork`].
pub fn retitle_spec(spec: SpecStatus) -> Result<Vec<SpecAction>, SpecRefusal> {
    expect_changeable(spec)?;
    Ok(vec![SpecAction::SetCurrentPhase(Phase::Explore)])
}

/// Has a spec planned on, when it is resumed, with the outputs of an earlier version: from where it was to be planned on
/// then, and from sync at the latest, which is computed; from the tasks where the version has none.
///
/// # Errors
/// [`SpecRefusal::AtWork`]; [`SpecRefusal::NotPassed`] for a phase that has no accepted output to take the place of.
pub fn restore_outputs(
    spec: SpecStatus,
    restored: &[(Phase, PhaseState)],
    planned_from: Phase,
    has_tasks: bool,
) -> Result<Vec<SpecAction>, SpecRefusal> {
    expect_changeable(spec)?;
    for (phase, state) in restored {
        phase_after(*phase)?;
        if *state != PhaseState::Passed {
            return Err(SpecRefusal::NotPassed(*phase));
        }
    }
    let last = match has_tasks {
        true => Phase::Sync,
        false => Phase::Tasks,
    };
    Ok(vec![SpecAction::SetCurrentPhase(planned_from.min(last))])
}

/// The phase to plan on from when the output of `phase` was changed.
fn phase_after(phase: Phase) -> Result<Phase, SpecRefusal> {
    let next = match phase {
        Phase::Explore | Phase::Prd | Phase::Requirements | Phase::Design | Phase::Tasks => {
            phase.next()
        }
        Phase::Sync | Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => None,
    };
    next.ok_or(SpecRefusal::NotEditable(phase))
}

fn expect_changeable(spec: SpecStatus) -> Result<(), SpecRefusal> {
    match spec {
        SpecStatus::Working | SpecStatus::Delivered | SpecStatus::Cancelled => {
            Err(SpecRefusal::AtWork)
        }
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Blocked
        | SpecStatus::Failed => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_passed_phase_of_a_plan_that_nobody_works_on_is_edited() {
        use SpecStatus::{Cancelled, Completed, Executing, Working};
        let at = |phase| Ok(vec![SpecAction::SetCurrentPhase(phase)]);
        let not_passed = |phase| Err(SpecRefusal::NotPassed(phase));
        let not_editable = |phase| Err(SpecRefusal::NotEditable(phase));
        let at_work = || Err(SpecRefusal::AtWork);
        for (spec, phase, state, expected) in [
            (
                Completed,
                Phase::Explore,
                PhaseState::Passed,
                at(Phase::Prd),
            ),
            (
                Executing,
                Phase::Design,
                PhaseState::Passed,
                at(Phase::Tasks),
            ),
            (
                Completed,
                Phase::Prd,
                PhaseState::Running,
                not_passed(Phase::Prd),
            ),
            (Completed, Phase::Tasks, PhaseState::Passed, at(Phase::Sync)),
            (
                Working,
                Phase::Sync,
                PhaseState::Passed,
                not_editable(Phase::Sync),
            ),
            (Working, Phase::Design, PhaseState::Passed, at_work()),
            (Cancelled, Phase::Design, PhaseState::Pending, at_work()),
        ] {
            let edited = EditedPhase { spec, phase, state };
            let early = expect_editable(spec, phase).err();
            let late = match &expected {
                // Only the edit itself finds that out.
                Err(SpecRefusal::NotPassed(_)) | Ok(_) => None,
                Err(refusal) => Some(*refusal),
            };
            assert_eq!(early, late, "{edited:?}");
            assert_eq!(edit_output(edited), expected, "{edited:?}");
        }
    }

    #[test]
    fn an_earlier_version_is_planned_on_from_where_it_stood() {
        use Phase::{Complete, Design, Explore, Requirements, Sync, Tasks};
        use PhaseState::{Passed, Pending};
        use SpecStatus::{Completed, Working};
        let at = |phase| Ok(vec![SpecAction::SetCurrentPhase(phase)]);
        for (spec, restored, planned_from, expected) in [
            (Completed, vec![(Design, Passed)], Complete, at(Tasks)),
            (Completed, vec![(Requirements, Passed)], Design, at(Design)),
            (Completed, vec![], Explore, at(Explore)),
            (
                Completed,
                vec![(Design, Pending)],
                Tasks,
                Err(SpecRefusal::NotPassed(Design)),
            ),
            (Completed, vec![(Tasks, Passed)], Tasks, at(Tasks)),
            (
                Completed,
                vec![(Sync, Passed)],
                Tasks,
                Err(SpecRefusal::NotEditable(Sync)),
            ),
            (Working, vec![], Tasks, Err(SpecRefusal::AtWork)),
        ] {
            let actions = restore_outputs(spec, &restored, planned_from, false);
            assert_eq!(actions, expected, "{restored:?} {planned_from}");
        }
        for (planned_from, expected) in [(Complete, Sync), (Sync, Sync), (Tasks, Tasks)] {
            let actions = restore_outputs(Completed, &[(Tasks, Passed)], planned_from, true);
            assert_eq!(actions, at(expected), "{planned_from}");
        }
    }

    #[test]
    fn a_new_title_is_planned_from_the_start() {
        for status in SpecStatus::ALL.iter().copied() {
            let is_fixed = matches!(
                status,
                SpecStatus::Working | SpecStatus::Delivered | SpecStatus::Cancelled
            );
            let expected = match is_fixed {
                true => Err(SpecRefusal::AtWork),
                false => Ok(vec![SpecAction::SetCurrentPhase(Phase::Explore)]),
            };
            assert_eq!(retitle_spec(status), expected, "{status}");
        }
    }
}
