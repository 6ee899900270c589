//! Which commits of a repository need not be sent.

use axum::Json;
use axum::extract::State;

use omoi_git::object::ObjectId;
use omoi_planning::commands::find_known_commits;
use omoi_protocol::api::{FindMissingCommits, KnownCommitsView, MISSING_COMMITS_MAX};

use super::read_commit;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::projects::ProjectPath;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Tells which commits of a repository the project has already, so that only the others are sent.
#[utoipa::path(
    post, path = "/projects/{project_id}/repository/missing", tag = "projects", params(ProjectPath),
    request_body = FindMissingCommits,
    responses((status = 200, description = "What is there.", body = KnownCommitsView))
)]
pub(super) async fn find_missing_commits(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProjectPath>,
    ApiBody(body): ApiBody<FindMissingCommits>,
) -> Answer<KnownCommitsView> {
    if body.commits.len() > MISSING_COMMITS_MAX {
        let says = format!("one request asks about {MISSING_COMMITS_MAX} commits at most");
        return Err(ApiError::invalid_value(says).with_field("/commits"));
    }
    let asked = body.commits.iter().enumerate();
    let asked = asked.map(|(n, commit)| read_commit(commit, &format!("/commits/{n}")));
    let asked: Vec<ObjectId> = asked.collect::<Result<_, _>>()?;
    let access = &s.parts.repositories;
    let known = find_known_commits(access, caller.own_rows(), path.project_id, &asked).await?;
    Ok(Json(KnownCommitsView {
        have: known.have.iter().map(ToString::to_string).collect(),
        is_empty: known.is_empty,
    }))
}
