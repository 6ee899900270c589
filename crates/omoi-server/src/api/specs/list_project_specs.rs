//! Lists the specs of a project.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::{ListPage, SpecView};
use omoi_store::projects;
use omoi_store::specs::SpecFilter;

use super::answered_page;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::projects::ProjectPath;
use crate::api::{Answer, Surface};

/// Which of its specs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectSpecQuery {
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

/// Lists the specs of a project, newest first.
///
/// They are sorted by `created_at`, `updated_at` and `number`.
#[utoipa::path(
    get, path = "/specs/project/{project_id}", tag = "specs",
    params(
        ProjectPath, ProjectSpecQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number)(,-?(created_at|updated_at|number)){0,3}$")
    ),
    responses((status = 200, description = "A page of specs.", body = ListPage<SpecView>))
)]
pub(super) async fn list_project_specs(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProjectPath>,
    list: ApiList<ProjectSpecQuery>,
) -> Answer<ListPage<SpecView>> {
    let id = path.project_id;
    let project = caller
        .own_rows()
        .read(async |tx| projects::get(tx, id).await);
    let filter = SpecFilter {
        projects: vec![project.await?.id],
        statuses: list.filter.status.clone(),
        with_archived: list.filter.include_archived,
        window: list.asked_window(),
        text: list.filter.q.clone(),
    };
    answered_page(&s, &caller, &list, &filter).await
}
