//! Tasks with how they stand in the queue.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::access::permission::Permission;
use omoi_domain::id::ProjectId;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{ListPage, QueuedTaskView};
use omoi_store::tasks::{self, Task, TaskFilter};
use omoi_store::{StoreError, Tx};

use crate::api::caller::ApiCaller;
use crate::api::list::ApiList;
use crate::api::task_view::task_views;
use crate::api::{Answer, ApiSurface};
use crate::error::ApiError;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct QueuedTasksQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
}

/// The page of tasks in one of `statuses` that `list` asks for.
pub(super) async fn answer_tasks(
    State(s): State<ApiSurface>,
    caller: &ApiCaller,
    list: &ApiList<QueuedTasksQuery>,
    statuses: &[TaskStatus],
) -> Answer<ListPage<QueuedTaskView>> {
    caller.expect_also(Permission::TaskRead)?;
    let asked = list.asked_page(&s, caller, "created_at")?;
    let filter = TaskFilter {
        projects: caller.listed_projects(&list.filter.project_id),
        statuses: statuses.to_vec(),
        window: list.asked_window(),
        ..TaskFilter::default()
    };
    let page = caller.own_rows().read(async |tx| {
        let page = tasks::list_page(tx, &filter, &asked).await?;
        let views = queued_views(tx, &page.rows).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, caller, page.await?))
}

async fn queued_views(tx: &mut Tx, rows: &[Task]) -> Result<Vec<QueuedTaskView>, StoreError> {
    let now = tx.now();
    let views = task_views(tx, rows).await?.into_iter().zip(rows);
    let views = views.map(|(task, row)| QueuedTaskView {
        task,
        score: row.score,
        queued_at: row.queued_at.into(),
        waiting_seconds: (now.seconds_since(row.queued_at) as i64).max(0),
        not_before: row.not_before.into(),
        retry_count: row.retry_count,
        started_at: row.started_at.map(Into::into),
    });
    Ok(views.collect())
}
