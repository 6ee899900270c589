//! The packages of a repository.

use axum::Json;
use axum::extract::State;

use omoi_planning::setup;
use omoi_protocol::api::{SetUpRepository, SetupView};

use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Installs the packages of a repository's HEAD, or tells which are there.
#[utoipa::path(
    post, path = "/setup", tag = "laptop", request_body = SetUpRepository,
    responses((status = 200, description = "What is installed.", body = SetupView))
)]
pub(super) async fn set_up_repository(
    caller: Allowed<needs::ProjectWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<SetUpRepository>,
) -> Answer<SetupView> {
    let (repositories, setup) = (s.repositories(&caller)?, &s.parts.setup);
    let view = setup::set_up_repository(repositories, caller.own_rows(), setup, &body).await?;
    Ok(Json(view))
}
