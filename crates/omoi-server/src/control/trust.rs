//! What a repository asks for, and a person's yes to it.

use axum::Json;
use axum::extract::{Query, State};
use omoi_planning::trust;
use omoi_protocol::control::{RepositoryTrustView, TrustRepository};
use serde::Deserialize;

use super::{Answer, Surface};
use crate::error::Given;

#[derive(Deserialize)]
pub(super) struct OfRepository {
    repo: String,
}

pub(super) async fn get_trust(
    State(s): Surface,
    Query(query): Query<OfRepository>,
) -> Answer<RepositoryTrustView> {
    let found = trust::look(&s.platform, &s.host, &s.config, &query.repo).await?;
    Ok(Json(found))
}

pub(super) async fn keep_trust(
    State(s): Surface,
    Given(body): Given<TrustRepository>,
) -> Answer<RepositoryTrustView> {
    let kept = trust::allow(&s.platform, &s.host, &s.config, &body).await?;
    Ok(Json(kept))
}
