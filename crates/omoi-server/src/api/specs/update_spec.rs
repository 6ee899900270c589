//! Changes what a person says of a spec.

use axum::extract::State;

use omoi_domain::plain_title::given_title;
use omoi_planning::commands;
use omoi_protocol::api::{SpecView, UpdateSpec};

use super::{OfProject, SpecPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Gives a spec another title; on the next resume every phase runs again with it.
#[utoipa::path(
    patch, path = "/specs/{spec_id}", tag = "specs", params(SpecPath, OfProject), request_body = UpdateSpec,
    responses((status = 200, description = "The spec as it is then.", body = SpecView))
)]
pub(super) async fn update_spec(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<UpdateSpec>,
) -> Answer<SpecView> {
    let spec = caller.find_spec(&path, &of).await?;
    let Some(title) = body.title else {
        return answered(&s, &caller, spec).await;
    };
    let title = given_title(&title)
        .map_err(|error| ApiError::invalid_value(error.to_string()).with_field("/title"))?;
    let spec = commands::retitle_spec(caller.own_rows(), spec.id, &title).await?;
    answered(&s, &caller, spec).await
}
