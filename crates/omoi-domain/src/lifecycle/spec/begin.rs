//! A spec that is written down.

use super::SpecAction;
use crate::spec::SpecStatus;

/// Has a new spec planned.
pub fn begin_spec() -> Vec<SpecAction> {
    vec![SpecAction::moved(SpecStatus::Executing)]
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
}
