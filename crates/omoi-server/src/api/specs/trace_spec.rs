//! Tells what proves each criterion of a spec.

use axum::Json;
use axum::extract::State;

use omoi_delivery::trace;
use omoi_protocol::api::SpecTrace;

use super::{OfProject, SpecPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tells what proves each criterion of a spec: tasks, commits, receipts.
#[utoipa::path(
    get, path = "/specs/{spec_id}/trace", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The trace.", body = SpecTrace))
)]
pub(super) async fn trace_spec(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecTrace> {
    let id = caller.find_spec(&path, &of).await?.id;
    let folders = &s.parts.repositories.folders;
    Ok(Json(trace::of_spec(caller.own_rows(), folders, id).await?))
}
