//! Tells whether tickets go on by themselves.

use axum::Json;
use axum::extract::State;

use omoi_domain::access::permission::Permission;
use omoi_domain::event::Consumer;
use omoi_protocol::api::PhaseProgressionStatus;
use omoi_store::{StoreError, tickets};

use super::get_status::loop_status;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Tells whether this process begins tickets and has them go on, and how many of the caller's organisation are to be begun.
#[utoipa::path(
    get, path = "/admin/phase-progression/status", tag = "admin",
    responses((status = 200, description = "How it does.", body = PhaseProgressionStatus))
)]
pub(super) async fn get_phase_progression(
    caller: Allowed<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<PhaseProgressionStatus> {
    caller.expect_also(Permission::TicketRead)?;
    let selection = &s.parts.policy.selection;
    let rows = caller.own_rows();
    let read = rows.read(async |tx| {
        let waiting = tickets::list_to_begin(tx).await?;
        Ok::<_, StoreError>((waiting.len(), selection.in_organisation(tx).await?))
    });
    let (n_waiting, selection) = read.await?;
    let mut loops = s.reconcilers.iter().map(loop_status);
    let planner = loops.find(|one| one.name == Consumer::Planner.as_str());
    Ok(Json(PhaseProgressionStatus {
        is_running: planner.is_some() && selection.begins_tickets(),
        planner,
        n_tickets_to_begin: n_waiting as u64,
    }))
}
