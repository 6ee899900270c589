//! A ticket goes where the spec that works for it goes.

use crate::block::SpecBlock;
use crate::spec::SpecStatus;
use crate::ticket::{TicketBlockReason, TicketStatus};

/// A move of the spec that works for a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowedSpec {
    /// Where it was.
    pub from: SpecStatus,
    /// Where it is.
    pub to: SpecStatus,
    /// What it waits for, where it waits.
    pub block: Option<SpecBlock>,
    /// Whether it is planned for the ticket. The tasks of a direct spec are the ticket's own, which it follows besides.
    pub is_planned: bool,
    /// Whether a check has to show that what was delivered is deployed.
    pub has_deploy_check: bool,
}

/// What follows for the ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketFollowing {
    /// Where it goes, in order.
    pub moves: Vec<TicketStatus>,
    /// What holds it up from now on.
    pub block: Option<TicketBlockReason>,
    /// Whether nothing holds it up any more.
    pub goes_on: bool,
}

/// Decides what a move of its spec means for a ticket in `status`.
pub fn follow_spec(status: TicketStatus, spec: FollowedSpec) -> TicketFollowing {
    let block = match spec.to {
        SpecStatus::Blocked => Some(spec.block.map_or(TicketBlockReason::FailingChecks, held_by)),
        SpecStatus::Failed => Some(TicketBlockReason::FailingChecks),
        SpecStatus::Cancelled => Some(TicketBlockReason::WaitingOnClarification),
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Working
        | SpecStatus::Delivered => None,
    };
    let was_held = matches!(
        spec.from,
        SpecStatus::Blocked | SpecStatus::Failed | SpecStatus::Cancelled
    );
    TicketFollowing {
        moves: match spec.is_planned {
            true => moves_to(status, spec),
            false => Vec::new(),
        },
        goes_on: was_held && block.is_none(),
        block,
    }
}

fn held_by(block: SpecBlock) -> TicketBlockReason {
    match block {
        SpecBlock::SuiteRed | SpecBlock::PlanNotReady | SpecBlock::WeakProof => {
            TicketBlockReason::FailingChecks
        }
        SpecBlock::SuiteNotRun
        | SpecBlock::Provider
        | SpecBlock::Budget
        | SpecBlock::Environment => TicketBlockReason::Environment,
        SpecBlock::Task | SpecBlock::Merge | SpecBlock::SecretDetected => {
            TicketBlockReason::WaitingOnClarification
        }
    }
}

/// The moves of a ticket whose spec is planned, worked on or delivered.
fn moves_to(status: TicketStatus, spec: FollowedSpec) -> Vec<TicketStatus> {
    use TicketStatus::{Analyzing, Backlog, Building, BuildingDone, Deploying, Done, Testing};
    let last = match spec.has_deploy_check {
        true => Deploying,
        false => Done,
    };
    let to_end = [Building, BuildingDone, Testing, last];
    match (spec.to, status) {
        (SpecStatus::Executing | SpecStatus::Completed, Backlog) => vec![Analyzing],
        (SpecStatus::Working, Backlog | Analyzing | BuildingDone | Testing | Deploying | Done) => {
            vec![Building]
        }
        (SpecStatus::Delivered, Backlog | Analyzing) => to_end.to_vec(),
        (SpecStatus::Delivered, Building) => to_end[1..].to_vec(),
        (SpecStatus::Delivered, BuildingDone) => to_end[2..].to_vec(),
        (SpecStatus::Delivered, Testing) => vec![last],
        (SpecStatus::Delivered, Deploying) if !spec.has_deploy_check => vec![Done],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{StateMachine as _, transition};

    #[test]
    fn a_ticket_is_where_its_spec_is() {
        for rule in SpecStatus::RULES {
            for status in TicketStatus::ALL.iter().copied() {
                for (is_planned, has_deploy_check) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let spec = FollowedSpec {
                        from: rule.from,
                        to: rule.to,
                        block: None,
                        is_planned,
                        has_deploy_check,
                    };
                    let following = follow_spec(status, spec);
                    let mut at = status;
                    for to in following.moves {
                        assert!(transition(at, to).is_ok(), "{spec:?}: {at} -> {to}");
                        at = to;
                    }
                    let expected = match (is_planned, rule.to) {
                        (true, SpecStatus::Working) => TicketStatus::Building,
                        (true, SpecStatus::Delivered)
                            if has_deploy_check && status != TicketStatus::Done =>
                        {
                            TicketStatus::Deploying
                        }
                        (true, SpecStatus::Delivered) => TicketStatus::Done,
                        (true, SpecStatus::Executing | SpecStatus::Completed)
                            if status == TicketStatus::Backlog =>
                        {
                            TicketStatus::Analyzing
                        }
                        _ => status,
                    };
                    assert_eq!(at, expected, "{spec:?} {status}");
                }
            }
        }
    }

    #[test]
    fn what_stops_a_spec_holds_its_ticket_up_until_it_goes_on() {
        let moved = |from, to, block| FollowedSpec {
            from,
            to,
            block,
            is_planned: false,
            has_deploy_check: false,
        };
        for block in SpecBlock::ALL.iter().copied() {
            let stopped = moved(SpecStatus::Working, SpecStatus::Blocked, Some(block));
            let following = follow_spec(TicketStatus::Building, stopped);
            assert_eq!(following.block, Some(held_by(block)), "{block}");
            assert!(!following.goes_on, "{block}");
        }
        for rule in SpecStatus::RULES {
            let following = follow_spec(TicketStatus::Building, moved(rule.from, rule.to, None));
            let stops = matches!(
                rule.to,
                SpecStatus::Blocked | SpecStatus::Failed | SpecStatus::Cancelled
            );
            assert_eq!(following.block.is_some(), stops, "{rule:?}");
            let was_stopped = matches!(rule.from, SpecStatus::Blocked | SpecStatus::Failed);
            assert_eq!(following.goes_on, was_stopped && !stops, "{rule:?}");
        }
    }
}
