//! A working spec that goes no further.

use super::SpecStop;
use crate::lifecycle::spec::SpecAction;
use crate::spec::SpecStatus;

/// Has a working spec wait for what `stop` names, or fails it; one that was moved meanwhile is left alone.
pub fn stop_spec(status: SpecStatus, stop: SpecStop) -> Vec<SpecAction> {
    if status != SpecStatus::Working {
        return Vec::new();
    }
    let SpecStop { block, reason } = stop;
    vec![match block {
        Some(block) => SpecAction::Block { block, reason },
        None => SpecAction::moved_because(SpecStatus::Failed, reason),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SpecBlock;
    use crate::machine::transition;

    #[test]
    fn a_working_spec_fails_or_waits() {
        let waits = SpecAction::Block {
            block: SpecBlock::Merge,
            reason: "a merge waits".to_owned(),
        };
        let failed = SpecAction::moved_because(SpecStatus::Failed, "no round left");
        for (status, stop, expected) in [
            (
                SpecStatus::Working,
                SpecStop::wait_for(SpecBlock::Merge, "a merge waits"),
                vec![waits],
            ),
            (
                SpecStatus::Working,
                SpecStop::fail("no round left"),
                vec![failed],
            ),
            (
                SpecStatus::Cancelled,
                SpecStop::fail("no round left"),
                vec![],
            ),
            (SpecStatus::Blocked, SpecStop::fail("no round left"), vec![]),
        ] {
            assert_eq!(stop_spec(status, stop), expected, "{status}");
        }
        for to in [SpecStatus::Failed, SpecStatus::Blocked] {
            assert!(transition(SpecStatus::Working, to).is_ok(), "{to}");
        }
    }
}
