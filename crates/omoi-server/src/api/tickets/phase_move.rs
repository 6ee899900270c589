//! Moves between phases as people see them.

use omoi_execution::commands::TicketOutlook;
use omoi_protocol::api::TicketPhaseMove;
use omoi_store::tickets::Ticket;

/// A move that was made.
pub(super) fn made_move(before: &Ticket, after: &Ticket) -> TicketPhaseMove {
    TicketPhaseMove {
        success: true,
        from_phase: before.phase_id,
        to_phase: after.phase_id,
        from_status: before.status,
        to_status: after.status,
        blocking_reasons: Vec::new(),
    }
}

/// A move that was looked at.
pub(super) fn outlook_view(outlook: TicketOutlook) -> TicketPhaseMove {
    let TicketOutlook {
        ticket,
        phase,
        reasons,
    } = outlook;
    let to_phase = phase.unwrap_or(ticket.phase_id);
    let entered = to_phase.entry_status().unwrap_or(ticket.status);
    TicketPhaseMove {
        success: reasons.is_empty(),
        from_phase: ticket.phase_id,
        to_phase,
        from_status: ticket.status,
        to_status: match reasons.is_empty() {
            true => entered,
            false => ticket.status,
        },
        blocking_reasons: reasons,
    }
}
