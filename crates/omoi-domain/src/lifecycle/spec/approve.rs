//! A person releases the tasks of a plan.

use super::{SpecAction, SpecFacts, SpecRefusal};
use crate::spec::SpecStatus;

/// Releases the tasks of a whole plan; nothing changes where they are released already.
///
/// # Errors
/// [`SpecRefusal::NotPlanned`].
pub fn approve_spec(facts: SpecFacts) -> Result<Vec<SpecAction>, SpecRefusal> {
    match facts.status {
        SpecStatus::Working => Ok(Vec::new()),
        SpecStatus::Completed if facts.is_planned => {
            Ok(vec![SpecAction::moved(SpecStatus::Working)])
        }
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Delivered
        | SpecStatus::Blocked
        | SpecStatus::Failed
        | SpecStatus::Cancelled => Err(SpecRefusal::NotPlanned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_plan_is_released() {
        for status in SpecStatus::ALL.iter().copied() {
            for is_planned in [true, false] {
                let expected = match (status, is_planned) {
                    (SpecStatus::Working, _) => Ok(Vec::new()),
                    (SpecStatus::Completed, true) => {
                        Ok(vec![SpecAction::moved(SpecStatus::Working)])
                    }
                    _ => Err(SpecRefusal::NotPlanned),
                };
                let facts = SpecFacts { status, is_planned };
                assert_eq!(approve_spec(facts), expected, "{facts:?}");
            }
        }
    }
}
