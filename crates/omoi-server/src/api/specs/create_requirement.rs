//! Adds a requirement to a plan.

use axum::extract::State;
use axum::response::Response;

use omoi_protocol::api::{CreateRequirement, SpecView};
use omoi_store::StoreError;

use super::plan_edits::EditedPlan;
use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::find::AskedReference;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Adds a requirement to a plan.
///
/// The plan is judged with it; on the next resume the phases after it run again.
#[utoipa::path(
    post, path = "/specs/{spec_id}/requirements", tag = "specs", request_body = CreateRequirement,
    params(SpecPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn create_requirement(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<CreateRequirement>,
) -> Result<Response, ApiError> {
    let asked = AskedReference::of_path(&path.spec_id, of.project_id);
    let plan = EditedPlan::find(&s, &caller, asked, meant).await?;
    if !caller.is_shown_again() && plan.find_requirement(&body.id).await?.is_some() {
        return Err(ApiError::from(StoreError::Exists {
            what: "requirement",
        }));
    }
    let value = serde_json::to_value(&body).unwrap_or_default();
    plan.put_requirement(&body.id, value).await
}
