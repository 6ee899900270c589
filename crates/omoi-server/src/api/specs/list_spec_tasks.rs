//! Lists the tasks of a spec.

use axum::Json;

use omoi_protocol::api::{ListPage, TaskView};
use omoi_store::tasks;

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_views;

/// Lists the tasks of a spec in plan order.
#[utoipa::path(
    get, path = "/specs/{spec_id}/tasks", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The tasks.", body = ListPage<TaskView>))
)]
pub(super) async fn list_spec_tasks(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ListPage<TaskView>> {
    let spec = caller.find_spec(&path, &of).await?;
    let items = caller.own_rows().read(async |tx| {
        let planned = tasks::of_spec(tx, spec.id).await?;
        task_views(tx, &planned).await
    });
    Ok(Json(ListPage::whole_list(items.await?)))
}
