//! Repositories on the disk that this command shares with the process.

use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{RepositoryTrustView, SetUpRepository, SetupView, TrustRepository};

use super::{ApiClient, ClientError};

impl ApiClient {
    pub(crate) async fn get_trust(&self, repo: &str) -> Result<RepositoryTrustView, ClientError> {
        let repo = percent_encode(repo);
        self.get_json(&format!("/trust?repo_path={repo}")).await
    }

    pub(crate) async fn trust_repository(
        &self,
        body: &TrustRepository,
    ) -> Result<RepositoryTrustView, ClientError> {
        self.post_json("/trust", body).await
    }

    pub(crate) async fn set_up_repository(
        &self,
        body: &SetUpRepository,
    ) -> Result<SetupView, ClientError> {
        self.post_json("/setup", body).await
    }
}
