//! Shows a spec with its plan.

use axum::extract::State;

use omoi_protocol::api::SpecDetail;

use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::spec_view::spec_detail;
use crate::api::version::{VersionedAnswer, VersionedJson};

/// Shows a spec with its phases, tickets and tasks.
#[utoipa::path(
    get, path = "/specs/{spec_id}", tag = "specs", params(SpecPath, OfProject),
    responses((
        status = 200, description = "The spec.", body = SpecDetail,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn get_spec(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> VersionedAnswer<SpecDetail> {
    let spec = caller.find_spec(&path, &of).await?;
    let version = spec.state_version;
    let (policy, sight) = (&s.parts.policy, caller.cost_sight());
    let detail = caller
        .own_rows()
        .read(async |tx| spec_detail(tx, policy, sight, spec).await);
    Ok(VersionedJson {
        version,
        body: detail.await?,
    })
}
