//! Lists tasks that can be cancelled.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::machine::transition;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{ListPage, TaskView};
use omoi_store::tasks::{self, TaskFilter};

use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::task_view::task_views;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CancellableQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
}

/// Lists tasks that can be cancelled, newest first.
#[utoipa::path(
    get, path = "/tasks/cancellable", tag = "tasks",
    params(
        CancellableQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority|level|ordinal)(,-?(created_at|updated_at|number|priority|level|ordinal)){0,3}$")
    ),
    responses((status = 200, description = "A page of tasks.", body = ListPage<TaskView>))
)]
pub(super) async fn list_cancellable_tasks(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    list: ApiList<CancellableQuery>,
) -> Answer<ListPage<TaskView>> {
    let asked = list.asked_page(&s, &caller, "-created_at")?;
    let ends = |status: &TaskStatus| transition(*status, TaskStatus::Cancelled).is_ok();
    let filter = TaskFilter {
        projects: caller.listed_projects(&list.filter.project_id),
        statuses: TaskStatus::ALL.iter().copied().filter(ends).collect(),
        window: list.asked_window(),
        ..TaskFilter::default()
    };
    let page = caller.own_rows().read(async |tx| {
        let page = tasks::list_page(tx, &filter, &asked).await?;
        let views = task_views(tx, &page.rows).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
