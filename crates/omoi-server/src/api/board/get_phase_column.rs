//! Finds the column that shows a phase.

use axum::Json;

use omoi_domain::board::column_of_phase;
use omoi_protocol::api::BoardColumnSettings;
use omoi_store::{StoreError, board_columns};

use super::{BoardQuery, PhasePath, settings_of};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, find};
use crate::error::ApiError;

/// Finds the column of a board that shows the tickets of a phase.
#[utoipa::path(
    get, path = "/board/column/{phase_id}", tag = "board", params(PhasePath, BoardQuery),
    responses((status = 200, description = "The column.", body = BoardColumnSettings))
)]
pub(super) async fn get_phase_column(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<PhasePath>,
    ApiQuery(of): ApiQuery<BoardQuery>,
) -> Answer<BoardColumnSettings> {
    let asked = of.asked_project(&caller);
    let board = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, asked).await?;
        Ok::<_, ApiError>(board_columns::of_project(tx, project).await?)
    });
    let board = board.await?;
    let column = column_of_phase(&board.columns, path.phase_id);
    let column = column.ok_or_else(|| StoreError::NotFound {
        what: "board column",
        key: path.phase_id.to_string(),
    })?;
    Ok(Json(settings_of(column)))
}
