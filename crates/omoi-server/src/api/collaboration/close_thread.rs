//! Closes a thread.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::ThreadView;

use super::ThreadPath;
use super::views::thread_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Closes a thread: it takes no messages any more. What was said in it stays, and what waits for agents reaches them.
#[utoipa::path(
    post, path = "/collaboration/threads/{thread_id}/close", tag = "collaboration", params(ThreadPath),
    responses((status = 200, description = "The thread as it is then.", body = ThreadView))
)]
pub(super) async fn close_thread(
    caller: Allowed<needs::AgentMessage>,
    ApiPath(path): ApiPath<ThreadPath>,
) -> Answer<ThreadView> {
    let thread = commands::close_thread(caller.own_rows(), path.thread_id).await?;
    let view = caller
        .own_rows()
        .read(async |tx| thread_view(tx, thread).await);
    Ok(Json(view.await?))
}
