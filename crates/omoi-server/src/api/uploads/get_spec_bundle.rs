//! Sends the delivered branch of a spec.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

use omoi_delivery::delivered_bundle::pack_delivered;
use omoi_domain::id::ProjectId;
use omoi_git::object::ObjectId;
use omoi_git::transfer::HAVE_COMMITS_MAX;

use super::read_commit;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::specs::{OfProject, SpecPath};
use crate::api::upload_body::BYTES_MEDIA;
use crate::error::ApiError;

/// What the receiver has, and which project's numbers a reference means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleQuery {
    /// Full name of a commit that the receiver has with its history; several, when it is repeated, of which 16 at most are
    /// taken. What the branch does not build on is left aside.
    #[serde(default)]
    have: Vec<String>,
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Sends the delivered branch of a spec as a git bundle, version 2, whose only ref is its head.
#[utoipa::path(
    get, path = "/specs/{spec_id}/bundle", tag = "specs", params(SpecPath, BundleQuery),
    responses((
        status = 200, description = "The bundle.", content_type = "application/octet-stream", body = Vec<u8>
    ))
)]
pub(super) async fn get_spec_bundle(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(query): ApiQuery<BundleQuery>,
) -> Result<Response, ApiError> {
    if query.have.len() > HAVE_COMMITS_MAX {
        let says = format!("`have` is given {HAVE_COMMITS_MAX} times at most");
        return Err(ApiError::invalid_value(says).with_field("have"));
    }
    let have = query.have.iter().map(|commit| read_commit(commit, "have"));
    let have: Vec<ObjectId> = have.collect::<Result<_, _>>()?;
    let of = OfProject {
        project_id: query.project_id,
    };
    let spec = caller.find_spec(&path, &of).await?;
    let folders = &s.parts.repositories.folders;
    let file = pack_delivered(folders, caller.own_rows(), &spec, &have).await?;
    let bytes = ReaderStream::new(tokio::fs::File::from_std(file));
    let name = format!("attachment; filename=\"SPEC-{}.bundle\"", spec.number);
    let headers = [
        (CONTENT_TYPE, BYTES_MEDIA.to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}
