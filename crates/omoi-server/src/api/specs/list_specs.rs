//! Lists specs.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::spec::SpecStatus;
use omoi_planning::spec_policy::SpecPolicy;
use omoi_protocol::api::{ListPage, SpecView};
use omoi_store::{StoreError, Tx, specs};

use crate::api::body::ApiQuery;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::spec_view::spec_view;
use crate::api::{Answer, Surface};

/// Most specs listed at once.
const LIST_MAX: usize = 200;

/// Which specs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SpecFilter {
    /// Those of this project.
    pub(super) project_id: Option<ProjectId>,
    /// Those in this state.
    pub(super) status: Option<SpecStatus>,
}

/// Lists specs, newest first, at most 200.
#[utoipa::path(
    get, path = "/specs", tag = "specs", params(SpecFilter),
    responses((status = 200, description = "The newest specs.", body = ListPage<SpecView>))
)]
pub(super) async fn list_specs(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiQuery(filter): ApiQuery<SpecFilter>,
) -> Answer<ListPage<SpecView>> {
    let page = caller
        .own_rows()
        .read(async |tx| page_of_specs(tx, &s.parts.policy, &filter).await);
    Ok(Json(page.await?))
}

/// The newest specs that `filter` takes.
pub(super) async fn page_of_specs(
    tx: &mut Tx,
    policy: &SpecPolicy,
    filter: &SpecFilter,
) -> Result<ListPage<SpecView>, StoreError> {
    // Filters are applied to all there are; without one the database cuts the list.
    let is_filtered = filter.project_id.is_some() || filter.status.is_some();
    let limit = if is_filtered {
        i64::MAX
    } else {
        LIST_MAX as i64
    };
    let mut found = specs::list(tx, limit).await?;
    found.retain(|spec| {
        filter.project_id.is_none_or(|of| of == spec.project_id)
            && filter.status.is_none_or(|status| status == spec.status)
    });
    found.truncate(LIST_MAX);
    let mut items = Vec::with_capacity(found.len());
    for spec in found {
        items.push(spec_view(tx, policy, spec).await?);
    }
    Ok(ListPage { items })
}
