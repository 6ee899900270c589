//! Renders the documents of a spec.

use axum::Json;
use axum::extract::State;

use omoi_execution::spec_files::rendered_files;
use omoi_protocol::api::{ExportedFile, ListPage};

use super::{OfProject, SpecPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Renders the documents of a spec as markdown files.
#[utoipa::path(
    get, path = "/specs/{spec_id}/export", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The files.", body = ListPage<ExportedFile>))
)]
pub(super) async fn export_spec(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<ListPage<ExportedFile>> {
    let spec = caller.find_spec(&path, &of).await?;
    let renderer = s.parts.renderer.in_tenant(caller.own_rows());
    let files = rendered_files(&renderer, &spec).await?;
    let files = files.into_iter();
    let files = files.map(|(path, text)| ExportedFile { path, text });
    Ok(Json(ListPage::whole_list(files.collect())))
}
