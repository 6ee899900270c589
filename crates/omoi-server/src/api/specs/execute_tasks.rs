//! Releases the tasks of a planned spec.

use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::SpecView;

use super::{OfProject, SpecPath, answered_spec, spec_after};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Approves the plan of a spec: its tasks are worked on.
#[utoipa::path(
    post, path = "/specs/{spec_id}/execute-tasks", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn execute_tasks(
    caller: Allowed<needs::SpecApprove>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let act = commands::approve_spec(&s.parts.policy.selection, caller.own_rows(), id);
    let spec = spec_after(&caller, id, act).await?;
    answered_spec(&s, &caller, spec).await
}
