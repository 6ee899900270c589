//! Makes the integration branch of a spec.

use axum::Json;
use axum::extract::State;

use omoi_planning::commands::create_spec_branch;
use omoi_protocol::api::SpecBranchView;

use super::{OfProject, SpecPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Makes the integration branch of a planned spec in the mirror of its repository, where its first task would make it; one
/// that is there stays as it is.
#[utoipa::path(
    post, path = "/specs/{spec_id}/create-branch", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The branch.", body = SpecBranchView))
)]
pub(super) async fn create_branch(
    caller: Allowed<needs::ProjectGitWrite>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecBranchView> {
    let id = caller.find_spec(&path, &of).await?.id;
    let (gate, renderer) = (&s.parts.gate, &s.parts.renderer);
    let made = create_spec_branch(gate, renderer, caller.own_rows(), id).await?;
    Ok(Json(SpecBranchView {
        branch_name: made.branch,
        head_sha: made.head.to_string(),
    }))
}
