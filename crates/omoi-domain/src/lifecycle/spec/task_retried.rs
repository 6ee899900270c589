//! A person has a task tried again, which may have its spec go on.

use super::{SpecAction, SpecFacts, SpecRefusal};
use crate::spec::SpecStatus;

/// Has the spec of a task that is tried again go on, with all of its plan wanted again.
///
/// # Errors
/// [`SpecRefusal::NotPlanned`] for a spec that does not work and has no whole plan.
pub fn spec_of_retried_task(
    facts: SpecFacts,
    is_as_it_stands: bool,
) -> Result<Vec<SpecAction>, SpecRefusal> {
    let mut actions = Vec::new();
    if is_as_it_stands {
        actions.push(SpecAction::SetAsItStands(false));
    }
    match facts {
        SpecFacts {
            status: SpecStatus::Working,
            ..
        } => Ok(actions),
        SpecFacts {
            is_planned: true, ..
        } => {
            actions.push(SpecAction::moved(SpecStatus::Working));
            Ok(actions)
        }
        SpecFacts {
            is_planned: false, ..
        } => Err(SpecRefusal::NotPlanned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_goes_on_with_its_task() {
        let anew = SpecAction::SetAsItStands(false);
        let moved = SpecAction::moved(SpecStatus::Working);
        for (status, is_planned, is_as_it_stands, expected) in [
            (SpecStatus::Working, false, false, Ok(Vec::new())),
            (SpecStatus::Working, true, true, Ok(vec![anew.clone()])),
            (SpecStatus::Failed, true, false, Ok(vec![moved.clone()])),
            (SpecStatus::Delivered, true, true, Ok(vec![anew, moved])),
            (
                SpecStatus::Failed,
                false,
                true,
                Err(SpecRefusal::NotPlanned),
            ),
        ] {
            let facts = SpecFacts { status, is_planned };
            let actions = spec_of_retried_task(facts, is_as_it_stands);
            assert_eq!(actions, expected, "{facts:?}");
        }
    }
}
