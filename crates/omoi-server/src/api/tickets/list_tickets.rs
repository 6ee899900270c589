//! Lists tickets.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{ProjectId, UserId};
use omoi_domain::task::Priority;
use omoi_domain::ticket::{ApprovalStatus, TicketStatus};
use omoi_domain::workflow::PhaseId;
use omoi_protocol::api::{EXAMPLE_SPEC, ListPage, TicketView};
use omoi_store::tickets::{self, Ticket, TicketFilter};

use crate::api::caller::{Allowed, ApiCaller};
use crate::api::find;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::ticket_view::ticket_views;
use crate::api::{Answer, ApiSurface, Surface};
use crate::error::ApiError;

/// Which tickets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketListQuery {
    /// Those of this spec's plan: its row id, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    spec_id: Option<String>,
    /// Those of this project; of any of them, when it is repeated. Alone, it is the one whose number `spec_id` means.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    status: Vec<TicketStatus>,
    /// Those in this phase; in any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    phase_id: Vec<PhaseId>,
    /// Those of this priority; of any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    priority: Vec<Priority>,
    /// Those of which people decided this; any of it, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    approval_status: Vec<ApprovalStatus>,
    /// Those that this person takes care of; any of them, when it is repeated.
    #[serde(default)]
    assignee_id: Vec<UserId>,
    /// Those that something holds up, or the others.
    is_blocked: Option<bool>,
    /// Those with this in their title or description, whatever the case of its letters.
    #[serde(alias = "search")]
    q: Option<String>,
}

/// Lists tickets, newest first.
///
/// They are sorted by `created_at`, `updated_at`, `number` and `priority`.
#[utoipa::path(
    get, path = "/tickets", tag = "tickets",
    params(
        TicketListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority)(,-?(created_at|updated_at|number|priority)){0,3}$")
    ),
    responses((status = 200, description = "A page of tickets.", body = ListPage<TicketView>))
)]
pub(super) async fn list_tickets(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    list: ApiList<TicketListQuery>,
) -> Answer<ListPage<TicketView>> {
    answer_list(&s, &caller, &list).await
}

/// Lists tickets as `GET /tickets` does, for callers who know it by this address.
#[utoipa::path(
    get, path = "/tickets/list", tag = "tickets",
    params(
        TicketListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority)(,-?(created_at|updated_at|number|priority)){0,3}$")
    ),
    responses((status = 200, description = "A page of tickets.", body = ListPage<TicketView>))
)]
pub(super) async fn list_tickets_alias(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    list: ApiList<TicketListQuery>,
) -> Answer<ListPage<TicketView>> {
    answer_list(&s, &caller, &list).await
}

async fn answer_list(
    s: &ApiSurface,
    caller: &ApiCaller,
    list: &ApiList<TicketListQuery>,
) -> Answer<ListPage<TicketView>> {
    let asked = list.asked_page::<Ticket>(s, caller, "-created_at")?;
    let wanted = &list.filter;
    let projects = caller.listed_projects(&wanted.project_id);
    let page = caller.own_rows().read(async |tx| {
        let spec = find::listed_spec(tx, wanted.spec_id.as_deref(), &projects).await?;
        let filter = TicketFilter {
            spec,
            projects: projects.clone(),
            statuses: wanted.status.clone(),
            phases: wanted.phase_id.clone(),
            priorities: wanted.priority.clone(),
            approvals: wanted.approval_status.clone(),
            assignees: wanted.assignee_id.clone(),
            is_blocked: wanted.is_blocked,
            window: list.asked_window(),
            text: wanted.q.clone(),
        };
        let mut page = tickets::list_page(tx, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = ticket_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(s, caller, page.await?))
}
