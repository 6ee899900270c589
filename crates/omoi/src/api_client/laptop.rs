//! Repositories on the disk that this command shares with the process.

use std::time::Duration;

use omoi_domain::operation::OperationStatus;
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{
    OperationBegun, OperationError, OperationView, RepositoryTrustView, SetUpRepository, SetupView,
    TrustRepository,
};
use omoi_runtime::clock::{Clock as _, SystemClock};

use super::{ApiClient, ClientError};

/// How often the end of an operation is looked for.
const POLL: Duration = Duration::from_millis(200);

/// An operation that failed, as its request would have been refused.
fn refused_operation(error: OperationError) -> ClientError {
    ClientError::Refused {
        code: error.error.as_str().to_owned(),
        message: error.message,
        hint: error.hint,
        request_id: None,
    }
}

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
        let begun: OperationBegun = self.post_once("/setup", body).await?;
        let id = begun.operation_id;
        loop {
            let operation: OperationView = self.get_json(&format!("/operations/{id}")).await?;
            match (operation.status, operation.error, operation.result) {
                (OperationStatus::Running, ..) => SystemClock.sleep(POLL).await,
                (_, Some(error), _) => return Err(refused_operation(error)),
                (_, None, result) => {
                    let result = result.unwrap_or_default();
                    return serde_json::from_value(result).map_err(ClientError::Answer);
                }
            }
        }
    }
}
