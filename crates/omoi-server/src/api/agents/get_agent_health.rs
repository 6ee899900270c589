//! Tells how an agent does.

use axum::Json;

use omoi_protocol::api::AgentHealth;
use omoi_store::attempts;

use super::{AgentPath, health_of};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Tells when an agent last gave a sign of life, and when it last did something.
#[utoipa::path(
    get, path = "/agents/{agent_id}/health", tag = "agents", params(AgentPath),
    responses((status = 200, description = "How it does.", body = AgentHealth))
)]
pub(super) async fn get_agent_health(
    caller: Allowed<needs::AgentRead>,
    ApiPath(path): ApiPath<AgentPath>,
) -> Answer<AgentHealth> {
    let read = caller.own_rows().read(async |tx| {
        let attempt = attempts::get(tx, path.agent_id).await?;
        Ok::<_, ApiError>(health_of(tx, &attempt).await?)
    });
    Ok(Json(read.await?))
}
