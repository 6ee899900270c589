//! Lists projects.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::project::ProjectStatus;
use omoi_protocol::api::{ListPage, ProjectView};
use omoi_store::StoreError;
use omoi_store::projects::{self, Project, ProjectFilter};

use super::project_views;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Which projects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectListQuery {
    /// Those in this state; in any of them, when it is repeated.
    #[serde(default)]
    status: Vec<ProjectStatus>,
    /// Those with this in their name or description, whatever the case of its letters.
    #[serde(alias = "search")]
    q: Option<String>,
}

/// Lists projects, newest first.
///
/// They are sorted by `created_at` and `updated_at`.
#[utoipa::path(
    get, path = "/projects", tag = "projects",
    params(
        ProjectListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at)(,-?(created_at|updated_at)){0,3}$")
    ),
    responses((status = 200, description = "A page of projects.", body = ListPage<ProjectView>))
)]
pub(super) async fn list_projects(
    caller: Allowed<needs::ProjectRead>,
    State(s): Surface,
    list: ApiList<ProjectListQuery>,
) -> Answer<ListPage<ProjectView>> {
    let filter = ProjectFilter {
        statuses: list.filter.status.clone(),
        window: list.asked_window(),
        text: list.filter.q.clone(),
    };
    let asked = list.asked_page::<Project>(&s, &caller, "-created_at")?;
    let page = caller.own_rows().read(async |tx| {
        let mut page = projects::list_page(tx, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = project_views(tx, &caller, found).await?;
        Ok::<_, StoreError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
