//! Lists the tasks of a spec.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{EXAMPLE_SPEC, ListPage, TaskView};

use crate::api::Answer;
use crate::api::body::ApiQuery;
use crate::api::caller::Allowed;
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::task_view::task_views;
use crate::error::ApiError;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskFilter {
    /// Those of this spec: its row id, or its reference `SPEC-n`.
    #[param(example = json!(EXAMPLE_SPEC))]
    spec_id: String,
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
    /// Those in this state.
    status: Option<TaskStatus>,
}

/// Lists the tasks of a spec in plan order.
#[utoipa::path(
    get, path = "/tasks", tag = "tasks", params(TaskFilter),
    responses((status = 200, description = "The tasks.", body = ListPage<TaskView>))
)]
pub(super) async fn list_tasks(
    caller: Allowed<needs::TaskRead>,
    ApiQuery(filter): ApiQuery<TaskFilter>,
) -> Answer<ListPage<TaskView>> {
    let asked = AskedReference::of_path(&filter.spec_id, filter.project_id);
    let items = caller.own_rows().read(async |tx| {
        let spec = find::spec(tx, asked).await?;
        Ok::<_, ApiError>(task_views(tx, &spec).await?)
    });
    let mut items = items.await?;
    items.retain(|task| filter.status.is_none_or(|status| status == task.status));
    Ok(Json(ListPage { items }))
}
