//! Lists specs.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::{ListPage, SpecView};
use omoi_store::specs::SpecFilter;

use super::answered_page;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Which specs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SpecListQuery {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    project_id: Vec<ProjectId>,
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    status: Vec<SpecStatus>,
    /// Those with this in their title or request, whatever the case of its letters.
    #[serde(alias = "search")]
    q: Option<String>,
    /// Those that were put away, too.
    #[serde(default)]
    include_archived: bool,
}

/// Lists specs, newest first.
///
/// They are sorted by `created_at`, `updated_at` and `number`.
#[utoipa::path(
    get, path = "/specs", tag = "specs",
    params(
        SpecListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number)(,-?(created_at|updated_at|number)){0,3}$")
    ),
    responses((status = 200, description = "A page of specs.", body = ListPage<SpecView>))
)]
pub(super) async fn list_specs(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    list: ApiList<SpecListQuery>,
) -> Answer<ListPage<SpecView>> {
    let filter = SpecFilter {
        projects: caller.listed_projects(&list.filter.project_id),
        statuses: list.filter.status.clone(),
        with_archived: list.filter.include_archived,
        window: list.asked_window(),
        text: list.filter.q.clone(),
    };
    answered_page(&s, &caller, &list, &filter).await
}
