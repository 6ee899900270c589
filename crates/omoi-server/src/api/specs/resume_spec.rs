//! Resumes a spec.

use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::{ResumeSpec, SpecView};

use super::{OfProject, SpecPath, answered_spec, spec_after};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Resumes a spec that failed or waits for a person.
#[utoipa::path(
    post, path = "/specs/{spec_id}/resume", tag = "specs", params(SpecPath, OfProject), request_body = ResumeSpec,
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn resume_spec(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<ResumeSpec>,
) -> Answer<SpecView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let act = commands::resume_spec(&s.parts.policy, caller.own_rows(), id, body);
    let spec = spec_after(&caller, id, act).await?;
    answered_spec(&s, &caller, spec).await
}
