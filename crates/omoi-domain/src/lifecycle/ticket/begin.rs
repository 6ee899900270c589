//! A ticket whose work is begun by itself.

use crate::ticket::{ApprovalStatus, TicketStatus, WorkflowMode};

/// What decides whether the work on a ticket begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketBeginning {
    /// What is begun for it; none where it waits in its phase until people move it.
    pub mode: Option<WorkflowMode>,
    /// Where it stands.
    pub status: TicketStatus,
    /// Whether it may be worked on.
    pub approval: ApprovalStatus,
    /// Whether something holds it up.
    pub is_blocked: bool,
    /// Whether it has a spec already: that of its plan, its own, or the one that it follows.
    pub has_spec: bool,
    /// Whether a ticket that it waits for is not done.
    pub has_open_prerequisite: bool,
}

/// Whether the work on a ticket begins now. One that people moved further than to be looked into is theirs.
pub fn may_begin(ticket: TicketBeginning) -> bool {
    let is_before = matches!(
        ticket.status,
        TicketStatus::Backlog | TicketStatus::Analyzing
    );
    ticket.mode.is_some()
        && is_before
        && ticket.approval == ApprovalStatus::Approved
        && !ticket.is_blocked
        && !ticket.has_spec
        && !ticket.has_open_prerequisite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_stands_against_begins_once() {
        let ready = TicketBeginning {
            mode: Some(WorkflowMode::Quick),
            status: TicketStatus::Backlog,
            approval: ApprovalStatus::Approved,
            is_blocked: false,
            has_spec: false,
            has_open_prerequisite: false,
        };
        assert!(may_begin(ready));
        for mode in WorkflowMode::ALL.iter().copied().map(Some) {
            assert!(may_begin(TicketBeginning { mode, ..ready }), "{mode:?}");
        }
        for status in TicketStatus::ALL.iter().copied() {
            let is_before = matches!(status, TicketStatus::Backlog | TicketStatus::Analyzing);
            assert_eq!(
                may_begin(TicketBeginning { status, ..ready }),
                is_before,
                "{status}"
            );
        }
        for approval in ApprovalStatus::ALL.iter().copied() {
            let is_approved = approval == ApprovalStatus::Approved;
            let ticket = TicketBeginning { approval, ..ready };
            assert_eq!(may_begin(ticket), is_approved, "{approval}");
        }
        for ticket in [
            TicketBeginning {
                mode: None,
                ..ready
            },
            TicketBeginning {
                is_blocked: true,
                ..ready
            },
            TicketBeginning {
                has_spec: true,
                ..ready
            },
            TicketBeginning {
                has_open_prerequisite: true,
                ..ready
            },
        ] {
            assert!(!may_begin(ticket), "{ticket:?}");
        }
    }
}
