//! Shows the gate of a ticket's phase.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_execution::commands;
use omoi_protocol::api::{GateView, PhaseGateStatus};
use omoi_store::phase_definitions;

use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};

/// Shows what the phase of a ticket has to show, and what is against the one that follows.
#[utoipa::path(
    get, path = "/admin/tickets/{ticket_id}/phase-gate-status", tag = "admin", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The gate.", body = PhaseGateStatus))
)]
pub(super) async fn get_phase_gates(
    caller: Allowed<needs::PlatformStaff>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<PhaseGateStatus> {
    caller.expect_also(Permission::TicketRead)?;
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let outlook = commands::look_at_move(caller.own_rows(), ticket.id, None).await?;
    let standing = caller
        .own_rows()
        .read(async |tx| phase_definitions::gate_standing(tx, &outlook.ticket).await);
    let standing = standing.await?;
    let gates = standing.gates.into_iter().map(|gate| GateView {
        artifact_type: gate.artifact_type,
        rule: serde_json::to_value(&gate.rule).unwrap_or_default(),
    });
    Ok(Json(PhaseGateStatus {
        ticket_id: outlook.ticket.id,
        phase_id: outlook.ticket.phase_id,
        next_phase: outlook.phase,
        gates: gates.collect(),
        blocking_reasons: outlook.reasons,
        approval: standing.asked.map(|asked| asked.state),
    }))
}
