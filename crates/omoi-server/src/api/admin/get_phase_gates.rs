//! Shows the gate of a ticket's phase.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_execution::commands;
use omoi_protocol::api::{GateView, PhaseGateStatus};
use omoi_store::{StoreError, phase_definitions, phase_gate_results};

use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::ticket_view::gate_result_view;
use crate::api::tickets::{ProjectOfTicket, TicketPath};

/// Results that are shown.
const RESULTS_MAX: u32 = 50;

/// Shows what the phase of a ticket has to show, and what gates said of the ticket, as its own pages do.
#[utoipa::path(
    get, path = "/admin/tickets/{ticket_id}/phase-gate-status", tag = "admin", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The gate, and at most 50 of its results.", body = PhaseGateStatus))
)]
pub(super) async fn get_phase_gates(
    caller: Allowed<needs::PlatformStaff>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<PhaseGateStatus> {
    caller.expect_also(Permission::TicketRead)?;
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let outlook = commands::look_at_move(caller.own_rows(), ticket.id, None).await?;
    let read = caller.own_rows().read(async |tx| {
        let phases = phase_definitions::of_project(tx, ticket.project_id).await?;
        let results = phase_gate_results::of_ticket(tx, ticket.id, RESULTS_MAX).await?;
        Ok::<_, StoreError>((phases, results))
    });
    let (phases, results) = read.await?;
    let own = phases.into_iter().find(|phase| phase.id == ticket.phase_id);
    let gates = own.into_iter().flat_map(|phase| phase.gates);
    let gates = gates.map(|gate| GateView {
        artifact_type: gate.artifact_type,
        rule: serde_json::to_value(&gate.rule).unwrap_or_default(),
    });
    Ok(Json(PhaseGateStatus {
        ticket_id: ticket.id,
        phase_id: ticket.phase_id,
        next_phase: outlook.phase,
        gates: gates.collect(),
        results: results.into_iter().map(gate_result_view).collect(),
    }))
}
