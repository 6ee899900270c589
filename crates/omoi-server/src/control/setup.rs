//! The packages of a repository.

use axum::Json;
use axum::extract::State;

use omoi_planning::setup::set_up_repository;
use omoi_protocol::api::{SetUpRepository, SetupView};

use super::{Answer, Surface};
use crate::error::JsonBody;

pub(super) async fn set_up(
    State(s): Surface,
    JsonBody(body): JsonBody<SetUpRepository>,
) -> Answer<SetupView> {
    let view = set_up_repository(s.repositories(), &s.tenant(), &s.parts.setup, &body).await?;
    Ok(Json(view))
}
