//! Lists threads.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{ProjectId, TaskId, TicketId, UserId};
use omoi_domain::thread::ThreadStatus;
use omoi_protocol::api::{ListPage, ThreadView};
use omoi_store::threads::{self, Thread, ThreadFilter};

use super::views::thread_views;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which threads.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ThreadListQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those about this ticket, by row id; about any of them, when it is repeated.
    #[serde(default)]
    for_ticket: Vec<TicketId>,
    /// Those in which the agent of this task takes part, by row id; of any of them, when it is repeated.
    #[serde(default)]
    with_agent: Vec<TaskId>,
    /// Those in which this person takes part; any of them, when it is repeated.
    #[serde(default)]
    with_user: Vec<UserId>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    status: Vec<ThreadStatus>,
}

/// Lists threads, those in which something was said last first.
///
/// They are sorted by `created_at` and `updated_at`.
#[utoipa::path(
    get, path = "/collaboration/threads", tag = "collaboration",
    params(
        ThreadListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at)(,-?(created_at|updated_at)){0,3}$")
    ),
    responses((status = 200, description = "A page of threads.", body = ListPage<ThreadView>))
)]
pub(super) async fn list_threads(
    caller: Allowed<needs::AgentRead>,
    State(s): Surface,
    list: ApiList<ThreadListQuery>,
) -> Answer<ListPage<ThreadView>> {
    let asked = list.asked_page::<Thread>(&s, &caller, "-updated_at")?;
    let wanted = &list.filter;
    let filter = ThreadFilter {
        projects: caller.listed_projects(&wanted.project_id),
        tickets: wanted.for_ticket.clone(),
        agents: wanted.with_agent.clone(),
        users: wanted.with_user.clone(),
        states: wanted.status.clone(),
        window: list.asked_window(),
    };
    let page = caller.own_rows().read(async |tx| {
        let mut page = threads::list_page(tx, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = thread_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
