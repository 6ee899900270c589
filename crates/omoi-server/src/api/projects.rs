//! Operations on projects.

mod archive_project;
mod create_project;
mod get_project;
mod get_project_stats;
mod list_projects;
mod update_project;

use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_planning::commands::ProjectCommandError;
use omoi_protocol::api::{EXAMPLE_PROJECT, ProjectCounts, ProjectView};
use omoi_store::projects::{self, Project};
use omoi_store::{StoreError, Tx};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use super::version::{VersionedAnswer, VersionedJson, with_version};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_projects::list_projects, InvalidCursor))
        .add(operation!(
            create_project::create_project,
            BadRepository,
            Conflict
        ))
        .add(operation!(get_project::get_project, NotFound))
        .add(operation!(get_project_stats::get_project_stats, NotFound))
        .add(operation!(
            update_project::update_project,
            NotFound,
            StaleVersion,
            Conflict
        ))
        .add(operation!(
            archive_project::archive_project,
            NotFound,
            StaleVersion,
            Conflict
        ))
}

/// Which project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProjectPath {
    /// Row id of the project.
    #[param(example = json!(EXAMPLE_PROJECT))]
    pub(super) project_id: ProjectId,
}

/// Projects as `caller` sees them.
async fn project_views(
    tx: &mut Tx,
    caller: &ApiCaller,
    found: Vec<Project>,
) -> Result<Vec<ProjectView>, StoreError> {
    let ids: Vec<ProjectId> = found.iter().map(|project| project.id).collect();
    let names = projects::names(tx).await?;
    let counts = projects::row_counts(tx, &ids).await?;
    let sees_paths = caller.expect_folder_owner().is_ok();
    let views = found.into_iter().map(|project| {
        let counts = counts.get(&project.id).copied().unwrap_or_default();
        ProjectView {
            id: project.id,
            organization_id: project.org_id,
            key: names.named_project(project.id).unique_name().to_owned(),
            name: project.name,
            description: project.description,
            status: project.status,
            autonomous_execution_enabled: project.autonomous,
            deploy_check: project.deploy_check,
            repo_path: project.repo_path.filter(|_| sees_paths),
            counts: ProjectCounts {
                specs: counts.specs,
                tickets: counts.tickets,
                tasks: counts.tasks,
                active_agents: counts.slots_used,
            },
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
            archived_at: project.archived_at.map(Into::into),
        }
    });
    Ok(views.collect())
}

/// A project as `caller` sees it, with its version.
async fn answered(caller: &ApiCaller, project: Project) -> VersionedAnswer<ProjectView> {
    let version = project.state_version;
    let key = project.id;
    let views = caller
        .own_rows()
        .read(async |tx| project_views(tx, caller, vec![project]).await);
    let body = views.await?.pop().ok_or_else(|| StoreError::NotFound {
        what: "project",
        key: key.to_string(),
    })?;
    Ok(VersionedJson { version, body })
}

/// The answer to a command on a project: the project, or why it was refused, with the present one where the command was
/// meant for another version.
async fn answer_change(
    caller: &ApiCaller,
    changed: Result<Project, ProjectCommandError>,
) -> Result<Response, ApiError> {
    match changed {
        Ok(project) => Ok(answered(caller, project).await?.into_response()),
        Err(ProjectCommandError::StaleVersion(current)) => {
            let stale = ProjectCommandError::StaleVersion(current.clone());
            let VersionedJson { version, body } = answered(caller, *current).await?;
            let refusal = ApiError::from(stale)
                .with_context("current", json!(body))
                .with_field("If-Match")
                .hint("look at what `context.current` has, and send the change with its `ETag`");
            Ok(with_version(refusal.into_response(), version))
        }
        Err(refused) => Err(refused.into()),
    }
}
