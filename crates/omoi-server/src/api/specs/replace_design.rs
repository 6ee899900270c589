//! Replaces sections of a design.

use axum::extract::State;
use axum::response::Response;

use omoi_domain::phase::Phase;
use omoi_protocol::api::{SpecView, UpdateDesign};

use super::plan_edits::EditedPlan;
use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::find::AskedReference;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, precondition_required};
use crate::error::ApiError;

/// Replaces sections of the design; the change names the version of the spec that it is meant for.
///
/// The plan is judged with it; on the next resume the phases after it run again.
#[utoipa::path(
    put, path = "/specs/{spec_id}/design", tag = "specs", request_body = UpdateDesign,
    params(SpecPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn replace_design(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateDesign>,
) -> Result<Response, ApiError> {
    let asked = AskedReference::of_path(&path.spec_id, of.project_id);
    let plan = EditedPlan::find(&s, &caller, asked, meant).await?;
    if !plan.meant.is_named() {
        return Err(precondition_required());
    }
    let edits = plan.section_edits(Phase::Design, &body.sections).await?;
    plan.put_items(Phase::Design, edits, "design".to_owned())
        .await
}
