//! Shows an agent.

use axum::Json;

use omoi_protocol::api::AgentView;
use omoi_store::{StoreError, attempts};

use super::{AgentPath, agent_views};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Shows an agent, live or past.
#[utoipa::path(
    get, path = "/agents/{agent_id}", tag = "agents", params(AgentPath),
    responses((status = 200, description = "The agent.", body = AgentView))
)]
pub(super) async fn get_agent(
    caller: Allowed<needs::AgentRead>,
    ApiPath(path): ApiPath<AgentPath>,
) -> Answer<AgentView> {
    let read = caller.own_rows().read(async |tx| {
        let attempt = attempts::get(tx, path.agent_id).await?;
        Ok::<_, ApiError>(agent_views(tx, vec![attempt]).await?)
    });
    let missing = || StoreError::NotFound {
        what: "attempt",
        key: path.agent_id.to_string(),
    };
    Ok(Json(read.await?.pop().ok_or_else(missing)?))
}
