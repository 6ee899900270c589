//! Takes a spec back to one of its versions.

use axum::extract::State;
use axum::response::Response;

use omoi_planning::commands::{RestoreWish, restore_version};
use omoi_protocol::api::SpecView;

use super::get_spec_version::VersionPath;
use super::plan_edits::{answer_edit, meant_edit};
use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Has a spec planned from what one of its versions has, and keeps that as a version of its own.
///
/// The plan is judged with it; on the next resume the phases after it run again.
#[utoipa::path(
    post, path = "/specs/{spec_id}/versions/{number}/restore", tag = "specs",
    params(VersionPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn restore_spec_version(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<VersionPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let VersionPath { spec_id, number } = path;
    let spec = caller.find_spec(&SpecPath { spec_id }, &of).await?;
    if caller.is_shown_again() {
        return answer_edit(&s, &caller, Ok(spec)).await;
    }
    let gate = s.parts.gate.in_tenant(caller.own_rows());
    let wish = RestoreWish {
        number,
        versions: meant.0.as_deref(),
    };
    let changed = restore_version(&gate, caller.own_rows(), spec.id, wish).await;
    let changed = meant_edit(&caller, spec.id, meant.0.as_deref(), changed).await;
    answer_edit(&s, &caller, changed).await
}
