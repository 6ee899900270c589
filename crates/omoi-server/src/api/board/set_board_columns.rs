//! Changes the columns of a board.

use omoi_domain::error_code::ErrorCode;
use omoi_execution::commands;
use omoi_protocol::api::BoardSettings;

use super::{BoardPath, board_settings, column_of};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedAnswer, VersionedJson};
use crate::error::ApiError;

/// Gives the board of a project other columns. `If-Match` says which version of the board this is meant for.
///
/// Tickets stay in their phases: those of a column that is gone are shown by the one that has their phase now.
#[utoipa::path(
    put, path = "/projects/{project_id}/board-columns", tag = "board", request_body = BoardSettings,
    params(BoardPath, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The columns as they are then.", body = BoardSettings,
        headers(("ETag" = String, description = "Version of the board."))
    ))
)]
pub(super) async fn set_board_columns(
    caller: Allowed<needs::ProjectSettingsWrite>,
    ApiPath(path): ApiPath<BoardPath>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<BoardSettings>,
) -> VersionedAnswer<BoardSettings> {
    if !meant.is_named() {
        let says = "the change does not say which version of the board it is meant for";
        return Err(ApiError::new(ErrorCode::PreconditionRequired, says)
            .with_field("If-Match")
            .hint("read the columns, and send their `ETag`"));
    }
    let columns = body.columns.into_iter().map(column_of).collect();
    let (tenant, project) = (caller.own_rows(), path.project_id);
    let board = commands::set_board_columns(tenant, project, columns, meant.0.as_deref()).await?;
    Ok(VersionedJson {
        version: board.version,
        body: board_settings(&board.columns),
    })
}
