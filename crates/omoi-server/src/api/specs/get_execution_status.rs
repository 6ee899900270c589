//! Tells how far the work on a spec has come.

use axum::Json;
use axum::extract::State;

use omoi_delivery::summary;
use omoi_protocol::api::ExecutionStatus;

use super::{OfProject, SpecPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tells how far the work on a spec has come, and what it took.
#[utoipa::path(
    get, path = "/specs/{spec_id}/execution-status", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "How far it has come.", body = ExecutionStatus))
)]
pub(super) async fn get_execution_status(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ExecutionStatus> {
    let id = caller.find_spec(&path, &of).await?.id;
    let folders = &s.parts.repositories.folders;
    let summary = summary::of_spec(caller.own_rows(), folders, id).await?;
    Ok(Json(ExecutionStatus::seen_by(caller.cost_sight(), summary)))
}
