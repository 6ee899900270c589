//! Lists the tasks of a ticket by phase.

use std::collections::BTreeMap;

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::task::TicketPhase;
use omoi_protocol::api::{ListPage, PhaseTasks, TaskView};
use omoi_store::{StoreError, tasks};

use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_views;
use crate::api::tickets::{ProjectOfTicket, TicketPath};

/// Lists the tasks of a ticket by the phase that they belong to.
#[utoipa::path(
    get, path = "/admin/tickets/{ticket_id}/tasks-by-phase", tag = "admin", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The phases that have tasks.", body = ListPage<PhaseTasks>))
)]
pub(super) async fn list_phase_tasks(
    caller: Allowed<needs::PlatformStaff>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<ListPage<PhaseTasks>> {
    caller.expect_also(Permission::TaskRead)?;
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let read = caller.own_rows().read(async |tx| {
        let rows = tasks::of_ticket(tx, ticket.id).await?;
        let views = task_views(tx, &rows).await?;
        Ok::<_, StoreError>(views)
    });
    let mut phases: BTreeMap<TicketPhase, Vec<TaskView>> = BTreeMap::new();
    for task in read.await? {
        phases.entry(task.phase).or_default().push(task);
    }
    let phases = phases.into_iter();
    let phases = phases.map(|(phase_id, tasks)| PhaseTasks { phase_id, tasks });
    Ok(Json(ListPage::whole_list(phases.collect())))
}
