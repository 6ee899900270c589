//! Shows the columns of a board.

use omoi_protocol::api::BoardSettings;
use omoi_store::board_columns;

use super::{BoardPath, board_settings};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::find;
use crate::api::policy::needs;
use crate::api::version::{VersionedAnswer, VersionedJson};
use crate::error::ApiError;

/// Shows the columns of a project's board, in their order.
#[utoipa::path(
    get, path = "/projects/{project_id}/board-columns", tag = "board", params(BoardPath),
    responses((
        status = 200, description = "The columns.", body = BoardSettings,
        headers(("ETag" = String, description = "Version of the board."))
    ))
)]
pub(super) async fn get_board_columns(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<BoardPath>,
) -> VersionedAnswer<BoardSettings> {
    let board = caller.own_rows().read(async |tx| {
        let project = find::find_project(tx, Some(path.project_id)).await?;
        Ok::<_, ApiError>(board_columns::of_project(tx, project).await?)
    });
    let board = board.await?;
    Ok(VersionedJson {
        version: board.version,
        body: board_settings(&board.columns),
    })
}
