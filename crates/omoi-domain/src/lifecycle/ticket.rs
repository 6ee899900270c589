//! Tickets follow their tasks, and people.

mod begin;
mod document;
mod follow_spec;
mod gate;
mod person_move;
mod stalled;

pub use begin::{TicketBeginning, may_begin};
pub use document::*;
pub use follow_spec::{FollowedSpec, TicketFollowing, follow_spec};
use gate::reasons_of;
pub use gate::*;
pub use person_move::*;
pub use stalled::{
    REMEDY_PREFIX, RemedyFacts, STALL_TIME, StallFacts, StallNews, StallTask, is_stall_over,
    judge_stall, plan_remedy,
};

use crate::merge::IntegrationState;
use crate::task::TaskStatus;
use crate::ticket::TicketStatus;

/// A task of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketTask {
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Whether the spec fails without it.
    pub is_needed: bool,
}

impl TicketTask {
    /// Whether the ticket need not wait for it: it is merged, or given up and not needed.
    pub(super) fn is_settled(self) -> bool {
        let is_given_up = matches!(
            self.status,
            TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::Blocked
        ) || self.integration_state == IntegrationState::Manual;
        let has_landed =
            self.status == TaskStatus::Completed && self.integration_state.satisfies_dependents();
        has_landed || (is_given_up && !self.is_needed)
    }
}

/// The moves of a ticket whose task landed: it is done when all that it needs is merged, and deployed where a check shows that.
/// What shows that it works are the receipts of its checks on the merged tree, without which nothing lands.
pub fn close_ticket(
    status: TicketStatus,
    tasks: &[TicketTask],
    has_deploy_check: bool,
) -> Vec<TicketStatus> {
    if !tasks.iter().all(|task| task.is_settled()) {
        return Vec::new();
    }
    let moves = [
        TicketStatus::BuildingDone,
        TicketStatus::Testing,
        match has_deploy_check {
            true => TicketStatus::Deploying,
            false => TicketStatus::Done,
        },
    ];
    match status {
        TicketStatus::Building => moves.to_vec(),
        TicketStatus::BuildingDone => moves[1..].to_vec(),
        TicketStatus::Testing => moves[2..].to_vec(),
        TicketStatus::Backlog
        | TicketStatus::Analyzing
        | TicketStatus::Deploying
        | TicketStatus::Done => Vec::new(),
    }
}

/// The move of a ticket once the tasks of its spec may run, wherever people put it before that.
pub fn release_ticket(status: TicketStatus) -> Option<TicketStatus> {
    let is_before = matches!(status, TicketStatus::Backlog | TicketStatus::Analyzing);
    is_before.then_some(TicketStatus::Building)
}

/// The move of a ticket whose task is open again.
pub fn reopen_ticket(status: TicketStatus) -> Option<TicketStatus> {
    let is_closed = matches!(
        status,
        TicketStatus::Done
            | TicketStatus::BuildingDone
            | TicketStatus::Testing
            | TicketStatus::Deploying
    );
    is_closed.then_some(TicketStatus::Building)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    fn task(status: TaskStatus, merged: IntegrationState, is_needed: bool) -> TicketTask {
        TicketTask {
            status,
            integration_state: merged,
            is_needed,
        }
    }

    #[test]
    fn a_ticket_is_done_when_all_that_it_needs_is_merged() {
        use IntegrationState::{Manual, Merged, None, Queued};
        use TaskStatus::{Blocked, Cancelled, Completed, Failed, Running};
        for (other, is_done) in [
            (task(Completed, Merged, true), true),
            (task(Completed, Queued, true), false),
            (task(Running, None, false), false),
            (task(Failed, None, true), false),
            (task(Failed, None, false), true),
            (task(Cancelled, None, false), true),
            (task(Blocked, None, false), true),
            (task(Completed, Manual, true), false),
            (task(Completed, Manual, false), true),
        ] {
            let tasks = [task(Completed, Merged, true), other];
            let moves = close_ticket(TicketStatus::Building, &tasks, false);
            assert_eq!(
                moves.last() == Some(&TicketStatus::Done),
                is_done,
                "{other:?}"
            );
        }
    }

    #[test]
    fn every_move_is_in_the_table() {
        for status in TicketStatus::ALL {
            let mut at = *status;
            for to in close_ticket(*status, &[], true) {
                assert!(transition(at, to).is_ok(), "{at} -> {to}");
                at = to;
            }
            assert!(at == *status || at == TicketStatus::Deploying, "{status}");
            at = *status;
            for to in close_ticket(*status, &[], false) {
                assert!(transition(at, to).is_ok(), "{at} -> {to}");
                at = to;
            }
            if let Some(to) = release_ticket(*status) {
                assert!(transition(*status, to).is_ok(), "{status} -> {to}");
            }
            if let Some(to) = reopen_ticket(*status) {
                assert!(transition(*status, to).is_ok(), "{status} -> {to}");
            }
            if let Some(to) = reopen_ticket(at) {
                assert!(transition(at, to).is_ok(), "{at} -> {to}");
            }
            // Whoever never built has nothing to close or to take up again.
            let is_open = matches!(
                status,
                TicketStatus::Building | TicketStatus::BuildingDone | TicketStatus::Testing
            );
            assert_eq!(
                at == TicketStatus::Done,
                is_open || *status == TicketStatus::Done,
                "{status}"
            );
        }
    }
}
