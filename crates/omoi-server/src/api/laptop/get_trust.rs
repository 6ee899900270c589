//! What a repository asks for.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_planning::trust;
use omoi_protocol::api::{EXAMPLE_REPOSITORY, RepositoryTrustView};

use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Which repository.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRepository {
    /// Absolute path of a git repository.
    #[param(example = json!(EXAMPLE_REPOSITORY))]
    repo_path: String,
}

/// Shows what the `.omoi.yaml` of a repository asks for at HEAD, and whether a person agreed.
#[utoipa::path(
    get, path = "/trust", tag = "laptop", params(OfRepository),
    responses((status = 200, description = "What it asks for.", body = RepositoryTrustView))
)]
pub(super) async fn get_trust(
    caller: Allowed<needs::ProjectRead>,
    State(s): Surface,
    ApiQuery(query): ApiQuery<OfRepository>,
) -> Answer<RepositoryTrustView> {
    let found = trust::look(
        s.repositories(&caller)?,
        caller.own_rows(),
        &query.repo_path,
    )
    .await?;
    Ok(Json(found))
}
