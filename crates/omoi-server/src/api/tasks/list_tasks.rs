//! Lists tasks.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::task::{Priority, TaskStatus, TicketPhase};
use omoi_protocol::api::{EXAMPLE_SPEC, ListPage, TaskView};
use omoi_store::tasks::{self, TaskFilter};

use crate::api::caller::Allowed;
use crate::api::find;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::task_view::task_views;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskListQuery {
    /// Those of this spec: its row id, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    spec_id: Option<String>,
    /// Those of this project; of any of them, when it is repeated. Alone, it is the one whose number `spec_id` means.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those of this ticket; of any of them, when it is repeated.
    #[param(inline)]
    #[serde(default)]
    ticket_id: Vec<TicketId>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    status: Vec<TaskStatus>,
    /// Those of this phase of their ticket; of any of them, when it is repeated.
    #[serde(default)]
    phase_id: Vec<TicketPhase>,
    /// Those of this priority; of any of them, when it is repeated.
    #[serde(default)]
    priority: Vec<Priority>,
    /// Those with this in their title or description, whatever the case of its letters.
    #[serde(alias = "search")]
    q: Option<String>,
}

/// Lists tasks, newest first.
///
/// They are sorted by `created_at`, `updated_at`, `number`, `priority`, `level` and `ordinal`; a plan has the order
/// `level,ordinal,number`.
#[utoipa::path(
    get, path = "/tasks", tag = "tasks",
    params(
        TaskListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority|level|ordinal)(,-?(created_at|updated_at|number|priority|level|ordinal)){0,3}$")
    ),
    responses((status = 200, description = "A page of tasks.", body = ListPage<TaskView>))
)]
pub(super) async fn list_tasks(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    list: ApiList<TaskListQuery>,
) -> Answer<ListPage<TaskView>> {
    let asked = list.asked_page(&s, &caller, "-created_at")?;
    let wanted = &list.filter;
    let projects = caller.listed_projects(&wanted.project_id);
    let page = caller.own_rows().read(async |tx| {
        let spec = find::listed_spec(tx, wanted.spec_id.as_deref(), &projects).await?;
        let filter = TaskFilter {
            spec,
            projects: projects.clone(),
            tickets: wanted.ticket_id.clone(),
            statuses: wanted.status.clone(),
            phases: wanted.phase_id.clone(),
            priorities: wanted.priority.clone(),
            window: list.asked_window(),
            text: wanted.q.clone(),
        };
        let page = tasks::list_page(tx, &filter, &asked).await?;
        let views = task_views(tx, &page.rows).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
