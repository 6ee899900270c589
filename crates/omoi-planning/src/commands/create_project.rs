//! Begins a project.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::plain_title::given_name;
use omoi_store::projects::{self, NewProject, Project};
use omoi_store::{Tenant, Tx};

use super::{CreateError, ProjectCommandError};
use crate::repository_reader::{RepositoryReader, ensure_project};

/// What somebody begins a project with.
#[derive(Clone, Debug)]
pub struct ProjectDraft {
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its tasks may start without a person.
    pub autonomous: bool,
}

/// Begins a project whose repository does not lie on this machine.
///
/// # Errors
/// [`ProjectCommandError::Name`], [`ProjectCommandError::NameTaken`].
pub async fn create_project(
    tenant: &Tenant,
    draft: ProjectDraft,
) -> Result<Project, ProjectCommandError> {
    let new = NewProject {
        name: given_name(&draft.name)?,
        repo_path: None,
        description: draft.description,
        autonomous: draft.autonomous,
    };
    let name = new.name.clone();
    let create = async |tx: &mut Tx| projects::create(tx, new).await;
    let created = tenant.write(CrashPoint::ProjectCreated, create).await;
    let created = created.map_err(|error| ProjectCommandError::of_write(error, &name))?;
    info!(project.id = %created.id, "Created the project `{name}`");
    Ok(created)
}

/// The project of the repository at `path` on this machine, begun where there is none.
///
/// # Errors
/// [`CreateError::Repository`].
pub async fn create_folder_project(
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    path: &str,
) -> Result<Project, CreateError> {
    let info = reader.inspect_repository(path).await?;
    ensure_project(tenant, &info).await
}
