//! Moves between phases as people see them.

use omoi_execution::commands::TicketOutlook;
use omoi_protocol::api::{GateResultView, TicketPhaseMove};
use omoi_store::tickets::Ticket;
use omoi_store::{StoreError, phase_gate_results};

use crate::api::caller::ApiCaller;
use crate::api::ticket_view::gate_result_view;

/// A move that was made, with what the gate of the phase that was left said.
pub(super) async fn made_move(
    caller: &ApiCaller,
    before: &Ticket,
    after: &Ticket,
) -> Result<TicketPhaseMove, StoreError> {
    let gate_result = last_result(caller, after).await?;
    let shown = gate_result
        .as_ref()
        .map(|said| said.artifacts_collected.clone());
    Ok(TicketPhaseMove {
        success: true,
        from_phase: before.phase_id,
        to_phase: after.phase_id,
        from_status: before.status,
        to_status: after.status,
        blocking_reasons: Vec::new(),
        artifacts_collected: shown.unwrap_or_default(),
        gate_result,
    })
}

/// A move that was looked at, with what a gate said when somebody last tried.
pub(super) async fn outlook_view(
    caller: &ApiCaller,
    outlook: TicketOutlook,
) -> Result<TicketPhaseMove, StoreError> {
    let TicketOutlook {
        ticket,
        phase,
        reasons,
        artifacts,
    } = outlook;
    let to_phase = phase.unwrap_or(ticket.phase_id);
    let entered = to_phase.entry_status().unwrap_or(ticket.status);
    Ok(TicketPhaseMove {
        success: reasons.is_empty(),
        from_phase: ticket.phase_id,
        to_phase,
        from_status: ticket.status,
        to_status: match reasons.is_empty() {
            true => entered,
            false => ticket.status,
        },
        blocking_reasons: reasons,
        artifacts_collected: artifacts,
        gate_result: last_result(caller, &ticket).await?,
    })
}

async fn last_result(
    caller: &ApiCaller,
    ticket: &Ticket,
) -> Result<Option<GateResultView>, StoreError> {
    let read = caller
        .own_rows()
        .read(async |tx| phase_gate_results::of_ticket(tx, ticket.id, 1).await);
    Ok(read.await?.into_iter().next().map(gate_result_view))
}
