//! Changes what a person says of a project.

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::ProjectId;
use omoi_domain::plain_title::given_name;
use omoi_domain::project::{ProjectStatus, project_name_key};
use omoi_domain::ticket_text::given_deploy_check;
use omoi_store::projects::{self, Project};
use omoi_store::{StoreError, Tenant, Tx};
use serde_json::{Value, json};

use super::ProjectCommandError;

/// What is changed of a project; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// Another name.
    pub name: Option<String>,
    /// Another description, or none any more.
    pub description: Option<Option<String>>,
    /// Whether work goes on in it.
    pub new_status: Option<ProjectStatus>,
    /// Whether its tasks may start without a person.
    pub autonomous: Option<bool>,
    /// Another command that shows that what was handed over is deployed, or none any more.
    pub deploy_check: Option<Option<String>>,
    /// Whether whoever asks may take back what was put away.
    pub may_take_back: bool,
}

/// Changes a project. With `versions`, only while it has one of them.
///
/// # Errors
/// [`ProjectCommandError::StaleVersion`], also where somebody was first between the look and the write;
/// [`ProjectCommandError::Name`], [`ProjectCommandError::NameTaken`], [`ProjectCommandError::DeployCheck`],
/// [`ProjectCommandError::Archived`].
pub async fn update_project(
    tenant: &Tenant,
    id: ProjectId,
    change: ProjectChange,
    versions: Option<&[i64]>,
) -> Result<Project, ProjectCommandError> {
    let name = change.name.as_deref().map(given_name).transpose()?;
    let deploy_check = match change.deploy_check {
        Some(Some(command)) => Some(Some(given_deploy_check(&command)?)),
        other => other,
    };
    let update = async |tx: &mut Tx| -> Result<_, ProjectCommandError> {
        let mut project = projects::get(tx, id).await?;
        if versions.is_some_and(|meant| !meant.contains(&project.state_version)) {
            return Err(ProjectCommandError::StaleVersion(Box::new(project)));
        }
        let before = project.clone();
        if let Some(name) = name.filter(|name| *name != project.name) {
            project.name_key = project_name_key(&name);
            project.name = name;
        }
        if let Some(description) = change.description {
            project.description = description;
        }
        if let Some(status) = change.new_status {
            let is_taken_back =
                project.status == ProjectStatus::Archived && status != ProjectStatus::Archived;
            if is_taken_back && !change.may_take_back {
                return Err(ProjectCommandError::Archived);
            }
            project.set_status(status, tx.now());
        }
        project.autonomous = change.autonomous.unwrap_or(project.autonomous);
        if let Some(command) = deploy_check {
            project.deploy_check = command;
        }
        if project != before {
            let saved = projects::save(tx, &mut project).await;
            saved.map_err(|error| ProjectCommandError::of_write(error, &project.name))?;
            let is_put_away = project.status == ProjectStatus::Archived
                && before.status != ProjectStatus::Archived;
            let action = match is_put_away {
                true => AuditAction::ProjectArchived,
                false => AuditAction::ProjectUpdated,
            };
            let updated = AuditAct::done_to(action, id).with_before(project_facts(&before));
            tx.record_act(updated.with_after(project_facts(&project)));
        }
        Ok(project)
    };
    match tenant.write(CrashPoint::ProjectCreated, update).await {
        Err(ProjectCommandError::Store(StoreError::Conflict { .. })) => {
            let current = tenant.read(async |tx| projects::get(tx, id).await).await?;
            Err(ProjectCommandError::StaleVersion(Box::new(current)))
        }
        updated => updated,
    }
}

/// What the audit log tells of a project before and after a change.
fn project_facts(project: &Project) -> Value {
    json!({
        "name": project.name, "description": project.description, "status": project.status,
        "autonomous": project.autonomous, "deploy_check": project.deploy_check,
    })
}
