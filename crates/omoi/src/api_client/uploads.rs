//! Repositories that the server does not see: their projects, what is sent of them, and what comes back.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use omoi_domain::id::{ProjectId, SpecId};
use omoi_domain::project::{ProjectStatus, project_name_key};
use omoi_git::object::ObjectId;
use omoi_git::work::BUNDLE_BYTES_MAX;
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{
    CreateProject, FindMissingCommits, KnownCommitsView, LaunchProjectSpec, ProjectView, SpecView,
    UploadedCommitView,
};

use super::{ApiClient, ClientError};

/// How a bundle is sent.
const BYTES_MEDIA: &str = "application/octet-stream";

impl ApiClient {
    /// The project that is called `name` and is not put away.
    pub(crate) async fn find_project(
        &self,
        name: &str,
    ) -> Result<Option<ProjectView>, ClientError> {
        let path = format!("/projects?q={}", percent_encode(name));
        let found = self.get_rows::<ProjectView>(&path).await?;
        let key = project_name_key(name);
        Ok(found.into_iter().find(|project| {
            project.status != ProjectStatus::Archived && project_name_key(&project.name) == key
        }))
    }

    pub(crate) async fn create_project(
        &self,
        body: &CreateProject,
    ) -> Result<ProjectView, ClientError> {
        self.post_once("/projects", body).await
    }

    pub(crate) async fn find_missing_commits(
        &self,
        project: ProjectId,
        commits: &[ObjectId],
    ) -> Result<KnownCommitsView, ClientError> {
        let body = FindMissingCommits {
            commits: commits.iter().map(ToString::to_string).collect(),
        };
        let path = format!("/projects/{project}/repository/missing");
        self.post_json(&path, &body).await
    }

    pub(crate) async fn upload_bundle(
        &self,
        project: ProjectId,
        commit: &ObjectId,
        bundle: Vec<u8>,
    ) -> Result<UploadedCommitView, ClientError> {
        let path = format!("/projects/{project}/repository/bundle?commit={commit}");
        let request = self.new_request(Method::POST, &path);
        let request = request.header(CONTENT_TYPE, BYTES_MEDIA).body(bundle);
        Self::read_json(self.send_request(request).await?).await
    }

    pub(crate) async fn launch_project_spec(
        &self,
        project: ProjectId,
        body: &LaunchProjectSpec,
    ) -> Result<SpecView, ClientError> {
        self.post_once(&format!("/projects/{project}/specs"), body)
            .await
    }

    /// A bundle with the delivered branch of a spec, for a repository that has `have`.
    pub(crate) async fn get_spec_bundle(
        &self,
        spec: SpecId,
        have: &ObjectId,
    ) -> Result<Vec<u8>, ClientError> {
        let path = format!("/specs/{spec}/bundle?have={have}");
        let mut answer = self
            .send_request(self.new_request(Method::GET, &path))
            .await?;
        let mut bundle = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(ClientError::Unreachable)? {
            if bundle.len() + piece.len() > BUNDLE_BYTES_MAX {
                return Err(ClientError::LongAnswer {
                    bytes_max: BUNDLE_BYTES_MAX,
                });
            }
            bundle.extend_from_slice(&piece);
        }
        Ok(bundle)
    }
}
