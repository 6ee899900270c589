//! Lists columns that are too full.

use axum::Json;

use omoi_protocol::api::{ListPage, WipViolation};
use omoi_store::board_columns;

use super::{BoardQuery, column_counts};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, find};
use crate::error::ApiError;

/// Lists the columns of a board that have more tickets than they take, in their order.
#[utoipa::path(
    get, path = "/board/wip-violations", tag = "board", params(BoardQuery),
    responses((status = 200, description = "The columns.", body = ListPage<WipViolation>))
)]
pub(super) async fn list_wip_violations(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<ListPage<WipViolation>> {
    let asked = of.asked_project(&caller);
    let found = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, asked).await?;
        let columns = board_columns::of_project(tx, project).await?.columns;
        let counts = column_counts(tx, project, &columns).await?;
        let too_full = columns.into_iter().filter_map(|column| {
            let current_count = counts.get(&column.key).copied().unwrap_or_default();
            let wip_limit = column.wip_limit?;
            (current_count > wip_limit).then(|| WipViolation {
                column_id: column.key,
                column_name: column.name,
                current_count,
                wip_limit,
                excess: current_count - wip_limit,
            })
        });
        Ok::<_, ApiError>(too_full.collect::<Vec<_>>())
    });
    Ok(Json(ListPage::whole_list(found.await?)))
}
