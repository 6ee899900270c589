//! Lists what waits for a person's yes.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::id::ProjectId;
use omoi_protocol::api::{ApprovalView, ListPage};
use omoi_store::approvals::{self, Approval, ApprovalFilter};

use super::approval_views;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which questions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalListQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those of this kind; of any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    kind: Vec<ApprovalKind>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    #[param(inline)]
    state: Vec<ApprovalState>,
}

/// Lists questions to people, newest first: one inbox for all kinds.
///
/// They are sorted by `created_at`.
#[utoipa::path(
    get, path = "/approvals", tag = "approvals",
    params(
        ApprovalListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?created_at$")
    ),
    responses((status = 200, description = "A page of questions.", body = ListPage<ApprovalView>))
)]
pub(super) async fn list_approvals(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    list: ApiList<ApprovalListQuery>,
) -> Answer<ListPage<ApprovalView>> {
    let asked = list.asked_page::<Approval>(&s, &caller, "-created_at")?;
    let wanted = &list.filter;
    let only = caller.only_project();
    let filter = ApprovalFilter {
        projects: only.map_or_else(|| wanted.project_id.clone(), |only| vec![only]),
        kinds: wanted.kind.clone(),
        states: wanted.state.clone(),
        window: list.asked_window(),
    };
    let page = caller.own_rows().read(async |tx| {
        let mut page = approvals::list_page(tx, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = approval_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
