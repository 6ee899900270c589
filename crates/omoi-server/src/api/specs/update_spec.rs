//! Changes what a person says of a spec.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use omoi_domain::plain_title::given_title;
use omoi_planning::commands::{self, SpecCommandError};
use omoi_protocol::api::{SpecView, UpdateSpec};
use omoi_store::StoreError;
use omoi_store::specs::Spec;

use super::{OfProject, SpecPath, answered};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions, VersionedJson, with_version};
use crate::api::{ApiSurface, Surface};
use crate::error::ApiError;

/// Gives a spec another title; on the next resume every phase runs again with it.
#[utoipa::path(
    patch, path = "/specs/{spec_id}", tag = "specs", request_body = UpdateSpec,
    params(SpecPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_spec(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateSpec>,
) -> Result<Response, ApiError> {
    let spec = caller.find_spec(&path, &of).await?;
    if !meant.includes_version(spec.state_version) {
        return refuse_stale(&s, &caller, spec).await;
    }
    let spec = match body.title {
        None => spec,
        Some(title) => {
            let title = given_title(&title)
                .map_err(|error| ApiError::invalid_value(error.to_string()).with_field("/title"))?;
            let versions = meant.0.as_deref();
            match commands::retitle_spec(caller.own_rows(), spec.id, &title, versions).await {
                Err(SpecCommandError::StaleVersion(current)) => {
                    return refuse_stale(&s, &caller, *current).await;
                }
                // Somebody was first between the look and the write.
                Err(SpecCommandError::Store(StoreError::Conflict { .. })) if versions.is_some() => {
                    let current = caller.find_spec(&path, &of).await?;
                    return refuse_stale(&s, &caller, current).await;
                }
                changed => changed?,
            }
        }
    };
    let version = spec.state_version;
    let body = answered(&s, &caller, spec).await?.0;
    Ok(VersionedJson { version, body }.into_response())
}

/// Refuses a change that was meant for another version of `spec`, and shows the present one.
async fn refuse_stale(
    s: &ApiSurface,
    caller: &ApiCaller,
    spec: Spec,
) -> Result<Response, ApiError> {
    let version = spec.state_version;
    let stale = ApiError::from(SpecCommandError::StaleVersion(Box::new(spec.clone())));
    let current = answered(s, caller, spec).await?.0;
    let refusal = stale
        .with_context("current", json!(current))
        .with_field("If-Match")
        .hint("look at what `context.current` has, and send the change with its `ETag`");
    Ok(with_version(refusal.into_response(), version))
}
