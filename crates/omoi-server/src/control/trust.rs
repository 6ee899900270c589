//! What a repository asks for, and a person's yes to it.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use omoi_planning::commands::trust_repository;
use omoi_planning::trust;
use omoi_protocol::api::{RepositoryTrustView, TrustRepository};

use super::{Answer, Surface};
use crate::error::JsonBody;

#[derive(Deserialize)]
pub(super) struct OfRepository {
    repo: String,
}

pub(super) async fn get_trust(
    State(s): Surface,
    Query(query): Query<OfRepository>,
) -> Answer<RepositoryTrustView> {
    let found = trust::look(s.repositories(), &s.tenant(), &query.repo).await?;
    Ok(Json(found))
}

pub(super) async fn keep_trust(
    State(s): Surface,
    JsonBody(body): JsonBody<TrustRepository>,
) -> Answer<RepositoryTrustView> {
    let kept = trust_repository(s.repositories(), &s.tenant(), &body).await?;
    Ok(Json(kept))
}
