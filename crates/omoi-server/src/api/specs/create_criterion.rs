//! Adds a criterion to a requirement.

use axum::extract::State;
use axum::response::Response;

use omoi_protocol::api::{CriterionText, SpecView};

use super::OfProject;
use super::plan_edits::{EditedPlan, RequirementPath};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::find::AskedReference;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Adds a criterion to a requirement.
///
/// The plan is judged with it; on the next resume the phases after it run again.
#[utoipa::path(
    post, path = "/specs/{spec_id}/requirements/{req_id}/criteria", tag = "specs", request_body = CriterionText,
    params(RequirementPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn create_criterion(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<RequirementPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<CriterionText>,
) -> Result<Response, ApiError> {
    let asked = AskedReference::of_path(&path.spec_id, of.project_id);
    let plan = EditedPlan::find(&s, &caller, asked, meant).await?;
    let mut value = plan.expect_requirement(&path.req_id).await?;
    if let Some(criteria) = value["acceptance_criteria"].as_array_mut() {
        criteria.push(body.text.into());
    }
    plan.put_requirement(&path.req_id, value).await
}
