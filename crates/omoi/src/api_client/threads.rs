//! Threads of agents and people.

use omoi_domain::id::ThreadId;
use omoi_domain::thread::{ThreadStatus, ThreadType};
use omoi_protocol::api::{
    OpenThread, ReferenceKind, ReferenceUse, SendThreadMessage, ThreadMessageView, ThreadView,
};

use super::{ApiClient, ClientError};

impl ApiClient {
    /// Threads of the project here, those in which something was said last first; in `status` alone where it is given.
    pub(crate) async fn list_threads(
        &self,
        status: Option<ThreadStatus>,
    ) -> Result<Vec<ThreadView>, ClientError> {
        let project = self
            .resolve(ReferenceKind::Project, None, ReferenceUse::Read)
            .await?;
        let status = status.map_or_else(String::new, |status| format!("&status={status}"));
        self.get_rows(&format!(
            "/collaboration/threads?project_id={project}{status}"
        ))
        .await
    }

    pub(crate) async fn get_thread(&self, id: ThreadId) -> Result<ThreadView, ClientError> {
        self.get_json(&format!("/collaboration/threads/{id}")).await
    }

    /// What was said in a thread, oldest first.
    pub(crate) async fn list_thread_messages(
        &self,
        id: ThreadId,
    ) -> Result<Vec<ThreadMessageView>, ClientError> {
        self.get_rows(&format!("/collaboration/threads/{id}/messages"))
            .await
    }

    /// The open thread with the agent of a task, named as people type it.
    pub(crate) async fn open_thread_with(&self, task: &str) -> Result<ThreadView, ClientError> {
        let task = self
            .resolve_text(ReferenceKind::Task, task, ReferenceUse::Act)
            .await?;
        let body = OpenThread {
            project_id: None,
            thread_type: ThreadType::Consultation,
            ticket_id: None,
            task_id: None,
            agents: vec![task.to_string()],
            users: Vec::new(),
        };
        self.post_json("/collaboration/threads", &body).await
    }

    pub(crate) async fn send_thread_message(
        &self,
        body: &SendThreadMessage,
    ) -> Result<ThreadMessageView, ClientError> {
        let thread = self.get_thread(body.thread_id).await?;
        let project = thread.project_id;
        self.post_json(
            &format!("/collaboration/messages?project_id={project}"),
            body,
        )
        .await
    }

    pub(crate) async fn close_thread(&self, id: ThreadId) -> Result<ThreadView, ClientError> {
        self.post_empty(&format!("/collaboration/threads/{id}/close"))
            .await
    }
}
