//! Notes that the caller knows what was said to them.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::ThreadMessageView;

use super::ThreadMessagePath;
use super::views::message_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Notes that the caller knows a message that is for them; doing it again changes nothing.
#[utoipa::path(
    post, path = "/collaboration/messages/{message_id}/read", tag = "collaboration",
    params(ThreadMessagePath),
    responses((status = 200, description = "The message as it is then.", body = ThreadMessageView))
)]
pub(super) async fn read_thread_message(
    caller: Allowed<needs::AgentMessage>,
    ApiPath(path): ApiPath<ThreadMessagePath>,
) -> Answer<ThreadMessageView> {
    let message = commands::read_thread_message(caller.own_rows(), path.message_id).await?;
    let view = caller
        .own_rows()
        .read(async |tx| message_view(tx, message).await);
    Ok(Json(view.await?))
}
