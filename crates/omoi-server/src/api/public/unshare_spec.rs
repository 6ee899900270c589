//! Has the link to a spec lead nowhere.

use axum::http::StatusCode;

use omoi_planning::commands::unshare_spec;

use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::specs::{OfProject, SpecPath};
use crate::error::ApiError;

/// Has the link by which strangers are shown a spec lead nowhere.
#[utoipa::path(
    delete, path = "/public/specs/{spec_id}/share", tag = "public", operation_id = "unshare_spec",
    params(SpecPath, OfProject), responses((status = 204, description = "It leads nowhere."))
)]
pub(super) async fn unshare_spec_with_strangers(
    caller: Allowed<needs::SpecShare>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Result<StatusCode, ApiError> {
    let id = caller.find_spec(&path, &of).await?.id;
    unshare_spec(caller.own_rows(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
