//! Lists the phases of a project's tickets.

use axum::Json;

use omoi_protocol::api::{ListPage, PhaseConfigView};

use super::{BoardQuery, phase_configs};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, find};

/// Lists the phases that the tickets of a project go through, in their order.
#[utoipa::path(
    get, path = "/configs", tag = "phases", params(BoardQuery),
    responses((status = 200, description = "The phases.", body = ListPage<PhaseConfigView>))
)]
pub(super) async fn list_phase_configs(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<ListPage<PhaseConfigView>> {
    let asked = of.asked_project(&caller);
    let phases = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, asked).await?;
        phase_configs(tx, project).await
    });
    Ok(Json(ListPage::whole_list(phases.await?)))
}
