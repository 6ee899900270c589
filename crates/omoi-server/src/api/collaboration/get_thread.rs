//! Reads a thread.

use axum::Json;

use omoi_protocol::api::ThreadView;
use omoi_store::threads;

use super::ThreadPath;
use super::views::thread_view;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Reads a thread, with who takes part.
#[utoipa::path(
    get, path = "/collaboration/threads/{thread_id}", tag = "collaboration", params(ThreadPath),
    responses((status = 200, description = "The thread.", body = ThreadView))
)]
pub(super) async fn get_thread(
    caller: Allowed<needs::AgentRead>,
    ApiPath(path): ApiPath<ThreadPath>,
) -> Answer<ThreadView> {
    let view = caller.own_rows().read(async |tx| {
        let thread = threads::get(tx, path.thread_id).await?;
        thread_view(tx, thread).await
    });
    Ok(Json(view.await?))
}
