//! Changes what a person says of a spec.

use axum::extract::State;
use axum::response::Response;

use omoi_domain::plain_title::given_title;
use omoi_planning::commands::{SpecCommandError, archive_spec, retitle_spec};
use omoi_protocol::api::{SpecView, UpdateSpec};
use omoi_store::specs::Spec;

use super::plan_edits::{answer_edit, meant_edit};
use super::{OfProject, SpecPath};
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::version::{IF_MATCH_DESCRIPTION, MeantVersions};
use crate::error::ApiError;

/// Gives a spec another title, with which every phase runs again on the next resume, or puts it away, or takes it back.
#[utoipa::path(
    patch, path = "/specs/{spec_id}", tag = "specs", request_body = UpdateSpec,
    params(SpecPath, OfProject, ("If-Match" = Option<String>, Header, description = IF_MATCH_DESCRIPTION)),
    responses((
        status = 200, description = "The spec as it is then.", body = SpecView,
        headers(("ETag" = String, description = "Version of the row."))
    ))
)]
pub(super) async fn update_spec(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    meant: MeantVersions,
    ApiBody(body): ApiBody<UpdateSpec>,
) -> Result<Response, ApiError> {
    let spec = caller.find_spec(&path, &of).await?;
    let title = body.title.as_deref().map(given_title).transpose();
    let title =
        title.map_err(|error| ApiError::invalid_value(error.to_string()).with_field("/title"))?;
    let wish = SpecWish {
        title,
        archived: body.archived,
    };
    let versions = meant.0.as_deref();
    let changed = wish.change_spec(&caller, spec.clone(), versions).await;
    let changed = meant_edit(&caller, spec.id, versions, changed).await;
    answer_edit(&s, &caller, changed).await
}

/// What a person wants of a spec.
struct SpecWish {
    title: Option<String>,
    archived: Option<bool>,
}

impl SpecWish {
    async fn change_spec(
        self,
        caller: &ApiCaller,
        mut spec: Spec,
        versions: Option<&[i64]>,
    ) -> Result<Spec, SpecCommandError> {
        if versions.is_some_and(|meant| !meant.contains(&spec.state_version)) {
            return Err(SpecCommandError::StaleVersion(Box::new(spec)));
        }
        let rows = caller.own_rows();
        if let Some(title) = &self.title {
            spec = retitle_spec(rows, spec.id, title, versions).await?;
        }
        if let Some(is_archived) = self.archived {
            // After the title it is another version.
            let meant = versions.map(|_| [spec.state_version]);
            let meant = meant.as_ref().map(|one| &one[..]);
            spec = archive_spec(rows, spec.id, is_archived, meant).await?;
        }
        Ok(spec)
    }
}
