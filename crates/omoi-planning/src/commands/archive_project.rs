//! Puts a project away.

use tracing::info;

use omoi_domain::id::ProjectId;
use omoi_domain::project::ProjectStatus;
use omoi_store::projects::Project;
use omoi_store::{StoreError, Tenant, specs};

use super::{ProjectChange, ProjectCommandError, cancel_spec, update_project};

/// Puts a project away, so that nothing starts in it any more, and cancels its specs. Who dies in between puts it away
/// again.
///
/// # Errors
/// [`ProjectCommandError::StaleVersion`].
pub async fn archive_project(
    tenant: &Tenant,
    id: ProjectId,
    versions: Option<&[i64]>,
) -> Result<Project, ProjectCommandError> {
    let change = ProjectChange {
        new_status: Some(ProjectStatus::Archived),
        ..ProjectChange::default()
    };
    let archived = update_project(tenant, id, change, versions).await?;
    let open = tenant.read(async |tx| specs::cancellable_of(tx, id).await);
    for spec in open.await? {
        match cancel_spec(tenant, spec).await {
            // It came to its own end meanwhile.
            Ok(_) | Err(StoreError::Transition(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    info!(project.id = %id, "A person archived the project `{}`", archived.name);
    Ok(archived)
}
