//! Projects, named as people type them.

use reqwest::Method;
use uuid::Uuid;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::ProjectId;
use omoi_domain::project::{ProjectStatus, project_name_key};
use omoi_protocol::api::{ProjectStats, ProjectView, ReferenceUse, UpdateProject};

use super::{ApiClient, ClientError};

impl ApiClient {
    /// Projects, newest first; those in `status` alone where it is given.
    pub(crate) async fn list_projects(
        &self,
        status: Option<ProjectStatus>,
    ) -> Result<Vec<ProjectView>, ClientError> {
        let status = status.map_or_else(String::new, |status| format!("?status={status}"));
        self.get_rows(&format!("/projects{status}")).await
    }

    /// The project that `text` means: its id, its name, or what stands before its numbers. Of two that are called the
    /// same, the one that is not put away.
    pub(crate) async fn find_called_project(
        &self,
        text: &str,
    ) -> Result<Option<ProjectView>, ClientError> {
        let (id, key) = (text.parse::<Uuid>().ok(), project_name_key(text));
        let found = self.list_projects(None).await?.into_iter();
        let found = found.filter(|project| {
            id == Some(project.id.as_uuid())
                || project.key == text
                || project_name_key(&project.name) == key
        });
        Ok(found.min_by_key(|project| project.status == ProjectStatus::Archived))
    }

    /// The project that a server, which does not see the repository here, knows by the name of its folder; none to whom it
    /// tells of no projects.
    pub(super) async fn project_of_folder(&self) -> Result<Option<ProjectView>, ClientError> {
        let Some(name) = &self.folder_name else {
            return Ok(None);
        };
        match self.find_project(name).await {
            Err(error)
                if error.has_code(ErrorCode::Forbidden)
                    || error.has_code(ErrorCode::InsufficientScope) =>
            {
                Ok(None)
            }
            found => found,
        }
    }

    /// The project of the repository that the command was typed in.
    pub(crate) async fn get_project_here(&self) -> Result<ProjectView, ClientError> {
        let id = self.project_here(ReferenceUse::Read).await?;
        self.get_json(&format!("/projects/{id}")).await
    }

    pub(crate) async fn get_project_stats(
        &self,
        project: ProjectId,
    ) -> Result<ProjectStats, ClientError> {
        self.get_json(&format!("/projects/{project}/stats")).await
    }

    pub(crate) async fn update_project(
        &self,
        project: ProjectId,
        body: &UpdateProject,
    ) -> Result<ProjectView, ClientError> {
        self.patch_json(&format!("/projects/{project}"), body).await
    }

    /// Puts a project away.
    pub(crate) async fn archive_project(
        &self,
        project: ProjectId,
    ) -> Result<ProjectView, ClientError> {
        let request = self.new_request(Method::DELETE, &format!("/projects/{project}"));
        Self::read_json(self.send_request(request).await?).await
    }
}
