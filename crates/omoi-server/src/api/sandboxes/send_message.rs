//! Writes to the agent of a sandbox.

use axum::http::StatusCode;

use omoi_execution::commands::steer_task;
use omoi_protocol::api::SteerTask;

use super::SandboxPath;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Writes to the agent of a sandbox, or orders it to stop; it reads the message at its next turn.
#[utoipa::path(
    post, path = "/sandboxes/{sandbox_id}/messages", tag = "sandboxes", params(SandboxPath),
    request_body = SteerTask, responses((status = 202, description = "The message is stored."))
)]
pub(super) async fn send_sandbox_message(
    caller: Allowed<needs::AgentMessage>,
    ApiPath(path): ApiPath<SandboxPath>,
    ApiBody(body): ApiBody<SteerTask>,
) -> Result<StatusCode, ApiError> {
    let rows = caller.own_rows();
    let task = rows.read(async |tx| path.find_task(tx).await).await?;
    caller.act_once(steer_task(rows, task.id, &body)).await?;
    Ok(StatusCode::ACCEPTED)
}
