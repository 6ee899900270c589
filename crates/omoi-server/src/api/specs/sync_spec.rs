//! Has the rows of a plan written.

use axum::extract::State;

use omoi_planning::commands::sync_spec;
use omoi_protocol::api::SpecView;

use super::{OfProject, SpecPath, answered_spec, spec_after};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Has the tickets and tasks of a plan written where that stopped; a spec that has them, or is about to, is left alone.
#[utoipa::path(
    post, path = "/specs/{spec_id}/sync", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn sync_plan(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let act = sync_spec(&s.parts.policy, caller.own_rows(), id);
    let spec = spec_after(&caller, id, act).await?;
    answered_spec(&s, &caller, spec).await
}
