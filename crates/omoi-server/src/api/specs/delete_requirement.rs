//! Takes a requirement out of a plan.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use omoi_protocol::api::SpecView;

use super::OfProject;
use super::plan_edits::{EditedPlan, RequirementPath};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::find::AskedReference;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Takes a requirement out of a plan.
///
/// The plan is judged with it; on the next resume the phases after it run again.
#[utoipa::path(
    delete, path = "/specs/{spec_id}/requirements/{req_id}", tag = "specs",
    params(RequirementPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn delete_requirement(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<RequirementPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
) -> Result<Response, ApiError> {
    let asked = AskedReference::of_path(&path.spec_id, of.project_id);
    let plan = EditedPlan::find(&s, &caller, asked, meant).await?;
    plan.expect_requirement(&path.req_id).await?;
    plan.put_requirement(&path.req_id, Value::Null).await
}
