//! A person's yes to what a repository asks for.

use axum::Json;
use axum::extract::State;

use omoi_planning::commands;
use omoi_protocol::api::{RepositoryTrustView, TrustRepository};

use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Agrees to what the `.omoi.yaml` of a repository asks for, in the text the person saw.
#[utoipa::path(
    post, path = "/trust", tag = "laptop", request_body = TrustRepository,
    responses((status = 200, description = "What is agreed to.", body = RepositoryTrustView))
)]
pub(super) async fn trust_repository(
    caller: Allowed<needs::ProjectWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<TrustRepository>,
) -> Answer<RepositoryTrustView> {
    let kept =
        commands::trust_repository(s.repositories(&caller)?, caller.own_rows(), &body).await?;
    Ok(Json(kept))
}
