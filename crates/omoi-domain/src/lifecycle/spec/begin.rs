//! A spec that is written down.

use super::{SpecAction, SpecRefusal};
use crate::spec::SpecStatus;

/// Has a new spec planned.
pub fn begin_spec() -> Vec<SpecAction> {
    vec![SpecAction::moved(SpecStatus::Executing)]
}

/// Has a spec planned that is written down; one whose planning is under way is left alone.
///
/// # Errors
/// [`SpecRefusal::AtWork`] once it was planned, or stopped: it is resumed, or its tasks are released.
pub fn execute_spec(status: SpecStatus) -> Result<Vec<SpecAction>, SpecRefusal> {
    match status {
        SpecStatus::Draft => Ok(begin_spec()),
        SpecStatus::Executing => Ok(Vec::new()),
        SpecStatus::Completed
        | SpecStatus::Working
        | SpecStatus::Delivered
        | SpecStatus::Blocked
        | SpecStatus::Failed
        | SpecStatus::Cancelled => Err(SpecRefusal::AtWork),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_new_spec_is_planned() {
        assert_eq!(begin_spec(), [SpecAction::moved(SpecStatus::Executing)]);
        assert!(transition(SpecStatus::Draft, SpecStatus::Executing).is_ok());
    }

    #[test]
    fn only_a_draft_is_begun_by_a_person() {
        for status in SpecStatus::ALL.iter().copied() {
            let expected = match status {
                SpecStatus::Draft => Ok(begin_spec()),
                SpecStatus::Executing => Ok(Vec::new()),
                _ => Err(SpecRefusal::AtWork),
            };
            assert_eq!(execute_spec(status), expected, "{status}");
        }
    }
}
