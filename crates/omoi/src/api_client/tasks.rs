//! Tasks. A task is named as people type it.

use reqwest::Method;
use uuid::Uuid;

use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{ReferenceKind, ReferenceUse, SteerTask, TaskDetail, TaskLog, TaskView};

use super::{ApiClient, ClientError};

/// How far the log of a task was read; zero in both is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// Sequence number of the last event of an agent.
    pub(crate) after: i64,
    /// Sequence number of the last event of the platform.
    pub(crate) after_event: i64,
}

impl ApiClient {
    async fn task_id(&self, text: &str, usage: ReferenceUse) -> Result<Uuid, ClientError> {
        self.resolve_text(ReferenceKind::Task, text, usage).await
    }

    /// The tasks of a spec in plan order; without one, those of the newest, and none where there is no spec.
    pub(crate) async fn list_tasks(
        &self,
        spec: Option<&str>,
    ) -> Result<Vec<TaskView>, ClientError> {
        let kind = ReferenceKind::Spec;
        let found = match spec {
            Some(spec) => self.spec_id(spec, ReferenceUse::Read).await,
            None => self.resolve(kind, None, ReferenceUse::Read).await,
        };
        let id = match found {
            Err(refused) if spec.is_none() && refused.has_code(ErrorCode::NotFound) => {
                return Ok(Vec::new());
            }
            found => found?,
        };
        self.get_rows(&format!("/tasks?spec_id={id}&sort=level,ordinal,number"))
            .await
    }

    pub(crate) async fn get_task_detail(&self, task: &str) -> Result<TaskDetail, ClientError> {
        let id = self.task_id(task, ReferenceUse::Read).await?;
        self.get_json(&format!("/tasks/{id}")).await
    }

    pub(crate) async fn retry_task(&self, task: &str) -> Result<TaskView, ClientError> {
        let id = self.task_id(task, ReferenceUse::Act).await?;
        self.post_empty(&format!("/tasks/{id}/retry")).await
    }

    pub(crate) async fn cancel_task(&self, task: &str) -> Result<TaskView, ClientError> {
        let id = self.task_id(task, ReferenceUse::Act).await?;
        self.post_empty(&format!("/tasks/{id}/cancel")).await
    }

    pub(crate) async fn steer_task(&self, task: &str, body: &SteerTask) -> Result<(), ClientError> {
        let id = self.task_id(task, ReferenceUse::Act).await?;
        let request = self.new_request(Method::POST, &format!("/tasks/{id}/messages"));
        self.send_request(request.json(body)).await.map(drop)
    }

    /// What happened to a task since `seen`.
    pub(crate) async fn log_task(
        &self,
        task: &str,
        seen: LogPosition,
    ) -> Result<TaskLog, ClientError> {
        let LogPosition { after, after_event } = seen;
        let id = self.task_id(task, ReferenceUse::Read).await?;
        self.get_json(&format!(
            "/tasks/{id}/log?after={after}&after_event={after_event}"
        ))
        .await
    }
}
