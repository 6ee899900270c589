//! A person sends what a phase made back to it.

use super::{SpecAction, SpecRefusal};
use crate::lifecycle::spec::EditedPhase;
use crate::spec::{PhaseState, SpecStatus};

/// Has a phase of a spec that is being planned made again, with all its attempts: `comment` is what its agent is told.
///
/// # Errors
/// [`SpecRefusal::AtWork`], [`SpecRefusal::NotPassed`].
pub fn return_phase(of: EditedPhase, comment: &str) -> Result<Vec<SpecAction>, SpecRefusal> {
    if of.spec != SpecStatus::Executing {
        return Err(SpecRefusal::AtWork);
    }
    if of.state != PhaseState::Passed {
        return Err(SpecRefusal::NotPassed(of.phase));
    }
    Ok(vec![
        SpecAction::ReturnPhase {
            phase: of.phase,
            feedback: format!("A person looked at it and asks for changes:\n{comment}"),
        },
        SpecAction::SetCurrentPhase(of.phase),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;
    use crate::phase::Phase;

    #[test]
    fn only_what_has_passed_is_sent_back_while_it_is_planned() {
        for spec in SpecStatus::ALL.iter().copied() {
            for state in PhaseState::ALL.iter().copied() {
                let of = EditedPhase {
                    spec,
                    phase: Phase::Design,
                    state,
                };
                let returned = return_phase(of, "no server");
                let is_taken = spec == SpecStatus::Executing && state == PhaseState::Passed;
                assert_eq!(returned.is_ok(), is_taken, "{of:?}");
                if let Ok(actions) = returned {
                    assert!(transition(state, PhaseState::Pending).is_ok());
                    let told = format!("{actions:?}");
                    assert!(told.contains("no server"), "{told}");
                }
            }
        }
    }
}
