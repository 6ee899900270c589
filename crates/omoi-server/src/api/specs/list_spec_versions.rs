//! Lists versions of a spec.

use axum::Json;

use omoi_protocol::api::{ListPage, SpecVersionView};
use omoi_store::spec_versions::{self, SpecVersionHead};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Lists what a spec was planned from before and after each change that a person made, newest first.
#[utoipa::path(
    get, path = "/specs/{spec_id}/versions", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The versions.", body = ListPage<SpecVersionView>))
)]
pub(super) async fn list_spec_versions(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ListPage<SpecVersionView>> {
    let id = caller.find_spec(&path, &of).await?.id;
    let heads = caller
        .own_rows()
        .read(async |tx| spec_versions::of_spec(tx, id).await);
    let views = heads.await?.into_iter().map(version_view);
    Ok(Json(ListPage::whole_list(views.collect())))
}

/// A version as people see it.
pub(super) fn version_view(head: SpecVersionHead) -> SpecVersionView {
    SpecVersionView {
        number: head.number,
        title: head.title,
        summary: head.summary,
        actor: head.actor,
        created_at: head.created_at.into(),
    }
}
