//! Hands over what has landed.

use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::SpecView;

use super::{OfProject, SpecPath, answered_spec, spec_after};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Hands over what has landed of a spec, although not all of it has.
#[utoipa::path(
    post, path = "/specs/{spec_id}/deliver", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn deliver_spec(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let act = commands::deliver_spec(&s.parts.policy.selection, caller.own_rows(), id);
    let spec = spec_after(&caller, id, act).await?;
    answered_spec(&s, &caller, spec).await
}
