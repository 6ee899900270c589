//! Has a spec planned.

use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::SpecView;

use super::{OfProject, SpecPath, answered_spec, spec_after};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Has a draft planned; one whose planning is under way is left alone.
#[utoipa::path(
    post, path = "/specs/{spec_id}/execute", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn execute_spec(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let act = commands::execute_spec(&s.parts.policy.selection, caller.own_rows(), id);
    let spec = spec_after(&caller, id, act).await?;
    answered_spec(&s, &caller, spec).await
}
