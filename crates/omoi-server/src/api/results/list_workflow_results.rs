//! Lists what was said of a ticket.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_protocol::api::{ListPage, WorkflowResultView};
use omoi_store::workflow_results::{self, WorkflowResult};

use super::{WorkflowPath, workflow_result_view};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::tickets::ProjectOfTicket;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which project's numbers the reference of the ticket means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkflowResultQuery {
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Lists what was said to have come of a ticket, newest first.
///
/// They are sorted by `created_at`.
#[utoipa::path(
    get, path = "/workflows/{workflow_id}/results", tag = "results",
    params(
        WorkflowPath, WorkflowResultQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?created_at$")
    ),
    responses((status = 200, description = "A page of results.", body = ListPage<WorkflowResultView>))
)]
pub(super) async fn list_workflow_results(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<WorkflowPath>,
    list: ApiList<WorkflowResultQuery>,
) -> Answer<ListPage<WorkflowResultView>> {
    let of = ProjectOfTicket {
        project_id: list.filter.project_id,
    };
    let ticket = caller.find_ticket(&path.workflow_id, &of).await?.id;
    let asked = list.asked_page::<WorkflowResult>(&s, &caller, "-created_at")?;
    let window = list.asked_window();
    let page = caller.own_rows().read(async |tx| {
        let mut page = workflow_results::list_page(tx, ticket, &window, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = found.into_iter().map(workflow_result_view).collect();
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
