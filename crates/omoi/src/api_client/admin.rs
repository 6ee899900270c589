//! How the process does, and what its proxy lets through.

use omoi_protocol::api::{AllowEgress, AllowedEgress, ProcessStatus};

use super::{ApiClient, ClientError};

impl ApiClient {
    pub(crate) async fn get_status(&self) -> Result<ProcessStatus, ClientError> {
        self.get_json("/admin/status").await
    }

    /// Has the process let `entries` through from now on.
    pub(crate) async fn allow_egress(
        &self,
        entries: &AllowEgress,
    ) -> Result<AllowedEgress, ClientError> {
        self.post_json("/admin/egress", entries).await
    }
}
