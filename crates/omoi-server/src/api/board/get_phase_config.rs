//! Shows one phase of a project's tickets.

use axum::Json;

use omoi_protocol::api::PhaseConfigView;
use omoi_store::StoreError;

use super::{BoardQuery, PhasePath, phase_configs};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, find};

/// Shows one phase that the tickets of a project go through.
#[utoipa::path(
    get, path = "/configs/{phase_id}", tag = "phases", params(PhasePath, BoardQuery),
    responses((status = 200, description = "The phase.", body = PhaseConfigView))
)]
pub(super) async fn get_phase_config(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<PhasePath>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<PhaseConfigView> {
    let asked = of.asked_project(&caller);
    let phases = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, asked).await?;
        phase_configs(tx, project).await
    });
    let mut phases = phases.await?.into_iter();
    let phase = phases.find(|phase| phase.id == path.phase_id);
    let phase = phase.ok_or_else(|| StoreError::NotFound {
        what: "phase",
        key: path.phase_id.to_string(),
    })?;
    Ok(Json(phase))
}
