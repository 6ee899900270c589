//! Shows what the phases of a spec handed in.

use axum::Json;

use omoi_domain::phase::Phase;
use omoi_protocol::api::{ListPage, PhaseDataView};
use omoi_store::phases;

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Shows what each phase of a spec handed in, in the order of the phases.
#[utoipa::path(
    get, path = "/specs/{spec_id}/phase-data", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The phases that began.", body = ListPage<PhaseDataView>))
)]
pub(super) async fn list_phase_data(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ListPage<PhaseDataView>> {
    let id = caller.find_spec(&path, &of).await?.id;
    let runs = caller
        .own_rows()
        .read(async |tx| phases::of_spec(tx, id).await);
    let runs = runs.await?;
    let in_order = Phase::ALL_WORKING.iter();
    let items = in_order.filter_map(|phase| runs.iter().find(|run| run.phase == *phase));
    let items = items.map(|run| PhaseDataView {
        phase: run.phase,
        state: run.state,
        score: run.score,
        output: run.output.as_ref().map(|output| output.0.clone()),
        ended_at: run.ended_at.map(Into::into),
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
