//! Notes which conversation works on a task.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::{AgentView, RegisterConversation};
use omoi_store::{StoreError, attempts};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::agents::agent_views;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Notes which conversation the agent of a task has: that of the attempt named, or of the newest one.
#[utoipa::path(
    post, path = "/tasks/{task_id}/register-conversation", tag = "tasks", request_body = RegisterConversation,
    params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The agent as it is then.", body = AgentView))
)]
pub(super) async fn register_conversation(
    caller: Allowed<needs::TaskWrite>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<RegisterConversation>,
) -> Answer<AgentView> {
    let task = caller.find_task(&path, &of).await?;
    let tries = caller
        .own_rows()
        .read(async |tx| attempts::of_task(tx, task.id).await);
    let mut tries = tries.await?;
    tries.retain(|attempt| body.sandbox_id.is_none_or(|named| named == attempt.id));
    let missing = || StoreError::NotFound {
        what: "attempt at the task",
        key: body
            .sandbox_id
            .map_or_else(|| path.task_id.clone(), |id| id.to_string()),
    };
    let attempt = tries.pop().ok_or_else(missing)?.id;
    let (rows, conversation) = (caller.own_rows(), body.conversation_id.as_str());
    caller
        .act_once(commands::register_conversation(rows, attempt, conversation))
        .await?;
    let read = rows.read(async |tx| {
        let attempt = attempts::get(tx, attempt).await?;
        Ok::<_, ApiError>(agent_views(tx, vec![attempt]).await?)
    });
    Ok(Json(read.await?.pop().ok_or_else(missing)?))
}
