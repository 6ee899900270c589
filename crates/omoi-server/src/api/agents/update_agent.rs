//! Changes what people say of an agent.

use axum::Json;

use omoi_execution::commands::tag_attempt;
use omoi_protocol::api::{AgentView, UpdateAgent};
use omoi_store::{StoreError, attempts};

use super::{AgentPath, agent_views};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Gives an agent other tags. Where it stands, what it can do and how much it takes at once follow from its attempt.
#[utoipa::path(
    patch, path = "/agents/{agent_id}", tag = "agents", params(AgentPath), request_body = UpdateAgent,
    responses((status = 200, description = "The agent as it is then.", body = AgentView))
)]
pub(super) async fn update_agent(
    caller: Allowed<needs::AgentWrite>,
    ApiPath(path): ApiPath<AgentPath>,
    ApiBody(body): ApiBody<UpdateAgent>,
) -> Answer<AgentView> {
    let id = path.agent_id;
    tag_attempt(caller.own_rows(), id, &body.tags).await?;
    let read = caller.own_rows().read(async |tx| {
        let attempt = attempts::get(tx, id).await?;
        Ok::<_, ApiError>(agent_views(tx, vec![attempt]).await?)
    });
    let missing = || StoreError::NotFound {
        what: "attempt",
        key: id.to_string(),
    };
    Ok(Json(read.await?.pop().ok_or_else(missing)?))
}
