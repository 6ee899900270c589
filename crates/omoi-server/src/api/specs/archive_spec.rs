//! Puts a spec away.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_planning::commands;

use super::plan_edits::{meant_edit, refuse_stale};
use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Puts a spec away: lists of specs leave it out until it is taken back by `PATCH`, or worked on again.
///
/// What is worked on is cancelled first.
#[utoipa::path(
    delete, path = "/specs/{spec_id}", tag = "specs",
    params(SpecPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((status = 204, description = "It is put away."))
)]
pub(super) async fn archive_spec(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let id = caller.find_spec(&path, &of).await?.id;
    let versions = meant.0.as_deref();
    let archived = commands::archive_spec(caller.own_rows(), id, true, versions).await;
    match meant_edit(&caller, id, versions, archived).await {
        Err(commands::SpecCommandError::StaleVersion(current)) => {
            refuse_stale(&s, &caller, *current).await
        }
        archived => {
            archived?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}
