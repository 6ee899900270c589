//! Lists what was said of a task.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_protocol::api::{ListPage, TaskResultView};
use omoi_store::task_results::{self, TaskResult};

use super::task_result_view;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::tasks::{ProjectOfTask, TaskPath};
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which project's numbers the reference of the task means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskResultQuery {
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Lists what was said to have come of a task, newest first.
///
/// They are sorted by `created_at`.
#[utoipa::path(
    get, path = "/tasks/{task_id}/results", tag = "results",
    params(
        TaskPath, TaskResultQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?created_at$")
    ),
    responses((status = 200, description = "A page of results.", body = ListPage<TaskResultView>))
)]
pub(super) async fn list_task_results(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<TaskPath>,
    list: ApiList<TaskResultQuery>,
) -> Answer<ListPage<TaskResultView>> {
    let of = ProjectOfTask {
        project_id: list.filter.project_id,
    };
    let task = caller.find_task(&path, &of).await?.id;
    let asked = list.asked_page::<TaskResult>(&s, &caller, "-created_at")?;
    let window = list.asked_window();
    let page = caller.own_rows().read(async |tx| {
        let mut page = task_results::list_page(tx, task, &window, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = found.into_iter().map(task_result_view).collect();
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
