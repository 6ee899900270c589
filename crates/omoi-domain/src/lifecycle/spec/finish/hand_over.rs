//! A proven branch that goes to the user's repository.

use crate::lifecycle::spec::SpecAction;
use crate::spec::SpecStatus;

/// A hand-over that was planned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedHandOver<'a, H> {
    /// The commit it hands over.
    pub head: &'a str,
    /// The hand-over itself, for whoever carries it out.
    pub planned: H,
}

/// Which hand-over is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverPlan<H> {
    /// The one that was planned for this head, under the branch name it chose: it may be pushed already.
    GoOn(H),
    /// A new one.
    Begin,
}

/// Decides whether the hand-over that was planned before is the one of `head`.
pub fn plan_hand_over<H>(known: Option<PlannedHandOver<'_, H>>, head: &str) -> HandOverPlan<H> {
    match known {
        Some(known) if known.head == head => HandOverPlan::GoOn(known.planned),
        _ => HandOverPlan::Begin,
    }
}

/// Notes that the branch of a spec is in the user's repository.
pub fn conclude_hand_over() -> Vec<SpecAction> {
    vec![SpecAction::moved(SpecStatus::Delivered)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_hand_over_is_gone_on_with_only_for_the_same_head() {
        for (planned, expected) in [
            (None, HandOverPlan::Begin),
            (Some("older"), HandOverPlan::Begin),
            (Some("head"), HandOverPlan::GoOn(1)),
        ] {
            let known = planned.map(|head| PlannedHandOver { head, planned: 1 });
            assert_eq!(plan_hand_over(known, "head"), expected, "{planned:?}");
        }
        let delivered = [SpecAction::moved(SpecStatus::Delivered)];
        assert_eq!(conclude_hand_over(), delivered);
        assert!(transition(SpecStatus::Working, SpecStatus::Delivered).is_ok());
    }
}
