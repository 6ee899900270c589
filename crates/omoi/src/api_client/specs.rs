//! Specs. A spec is named as people type it.

use uuid::Uuid;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::EgressEntryId;
use omoi_protocol::api::{
    EgressLogView, ExecutionStatus, ExportedFile, LaunchSpec, ListPage, ReferenceKind,
    ReferenceUse, ResumeSpec, SpecDetail, SpecTrace, SpecView,
};
use omoi_protocol::summary::RunSummary;

use super::{ApiClient, ClientError};

impl ApiClient {
    /// The id of the spec that `text` means.
    pub(super) async fn spec_id(
        &self,
        text: &str,
        usage: ReferenceUse,
    ) -> Result<Uuid, ClientError> {
        self.resolve_text(ReferenceKind::Spec, text, usage).await
    }

    pub(crate) async fn launch_spec(&self, body: &LaunchSpec) -> Result<SpecView, ClientError> {
        self.post_once("/specs/launch", body).await
    }

    pub(crate) async fn list_specs(&self) -> Result<Vec<SpecView>, ClientError> {
        self.get_rows("/specs").await
    }

    /// The spec that a command is about to change.
    pub(crate) async fn get_spec_to_act(&self, spec: &str) -> Result<SpecView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Act).await?;
        let detail = self.get_json::<SpecDetail>(&format!("/specs/{id}")).await?;
        Ok(detail.spec)
    }

    pub(crate) async fn get_spec_detail(&self, spec: &str) -> Result<SpecDetail, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Read).await?;
        self.get_json(&format!("/specs/{id}")).await
    }

    pub(crate) async fn get_spec_summary(&self, spec: &str) -> Result<RunSummary, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Read).await?;
        let path = format!("/specs/{id}/execution-status");
        let status = self.get_json::<ExecutionStatus>(&path).await?;
        Ok(status.into())
    }

    pub(crate) async fn export_spec(&self, spec: &str) -> Result<Vec<ExportedFile>, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Read).await?;
        let path = format!("/specs/{id}/export");
        let page = self.get_json::<ListPage<ExportedFile>>(&path).await?;
        Ok(page.items)
    }

    pub(crate) async fn trace_spec(&self, spec: &str) -> Result<SpecTrace, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Read).await?;
        self.get_json(&format!("/specs/{id}/trace")).await
    }

    pub(crate) async fn list_egress(
        &self,
        spec: &str,
        outcome: Option<EgressOutcome>,
        before: Option<EgressEntryId>,
    ) -> Result<EgressLogView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Read).await?;
        let outcome = outcome.map(|outcome| format!("outcome={outcome}"));
        let before = before.map(|before| format!("before={before}"));
        let query: Vec<_> = outcome.into_iter().chain(before).collect();
        self.get_json(&format!("/specs/{id}/egress?{}", query.join("&")))
            .await
    }

    pub(crate) async fn approve_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Act).await?;
        self.post_empty(&format!("/specs/{id}/execute-tasks")).await
    }

    pub(crate) async fn resume_spec(
        &self,
        spec: &str,
        asked: ResumeSpec,
    ) -> Result<SpecView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Act).await?;
        self.post_json(&format!("/specs/{id}/resume"), &asked).await
    }

    pub(crate) async fn deliver_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Act).await?;
        self.post_empty(&format!("/specs/{id}/deliver")).await
    }

    pub(crate) async fn cancel_spec(&self, spec: &str) -> Result<SpecView, ClientError> {
        let id = self.spec_id(spec, ReferenceUse::Act).await?;
        self.post_empty(&format!("/specs/{id}/cancel")).await
    }
}
