//! Ends attempts that have had their time.

use axum::Json;
use axum::extract::State;

use omoi_execution::commands::end_timed_out;
use omoi_protocol::api::{ListPage, TaskView};

use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::task_view::task_views;
use crate::api::{Answer, Surface};

/// Ends, as failed, every attempt of an organisation that has had its time and did not end by itself; its task is tried
/// again as after any failure.
#[utoipa::path(
    post, path = "/tasks/cleanup-timed-out", tag = "tasks",
    responses((status = 200, description = "The tasks as they are then.", body = ListPage<TaskView>))
)]
pub(super) async fn cleanup_timed_out_tasks(
    caller: Allowed<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<ListPage<TaskView>> {
    let (limits, failures) = (s.parts.policy.limits, &s.parts.failures);
    let act = end_timed_out(caller.own_rows(), limits, failures);
    let ended = caller.act_once(act).await?.unwrap_or_default();
    let views = caller
        .own_rows()
        .read(async |tx| task_views(tx, &ended).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}
