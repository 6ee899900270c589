//! Tickets and boards. A ticket is named as people type it.

use reqwest::Method;
use serde::Serialize;
use uuid::Uuid;

use omoi_domain::approval::ApprovalState;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{
    ApprovalView, ApproveTicket, BlockTicket, BoardView, CommentView, CreateProject, CreateTicket,
    DecideApproval, ProjectView, ReferenceKind, ReferenceUse, RejectTicket, TicketView,
    TransitionTicket, UpdateTicket, WriteComment,
};

use super::{ApiClient, ClientError};

impl ApiClient {
    async fn ticket_id(&self, text: &str, usage: ReferenceUse) -> Result<Uuid, ClientError> {
        self.resolve_text(ReferenceKind::Ticket, text, usage).await
    }

    /// The project of the repository that the command was typed in; a server that does not see it knows the project by the
    /// name of the folder, as `omoi run` sends it.
    pub(super) async fn project_here(&self, usage: ReferenceUse) -> Result<Uuid, ClientError> {
        if let Some(project) = self.project_of_folder().await? {
            return Ok(project.id.as_uuid());
        }
        self.resolve(ReferenceKind::Project, None, usage).await
    }

    /// Tickets of the project here, newest first; in `status` alone where it is given.
    pub(crate) async fn list_tickets(
        &self,
        status: Option<&str>,
    ) -> Result<Vec<TicketView>, ClientError> {
        let project = self.project_here(ReferenceUse::Read).await?;
        let status = status.map_or_else(String::new, |status| format!("&status={status}"));
        self.get_rows(&format!("/tickets?project_id={project}{status}"))
            .await
    }

    pub(crate) async fn get_ticket(&self, ticket: &str) -> Result<TicketView, ClientError> {
        let id = self.ticket_id(ticket, ReferenceUse::Read).await?;
        self.get_json(&format!("/tickets/{id}")).await
    }

    pub(crate) async fn list_comments(
        &self,
        ticket: Uuid,
    ) -> Result<Vec<CommentView>, ClientError> {
        self.get_rows(&format!("/tickets/{ticket}/comments")).await
    }

    /// The same, begun where nothing was worked on here yet.
    async fn begun_project_here(&self) -> Result<Uuid, ClientError> {
        let missing = match self.project_here(ReferenceUse::Act).await {
            Err(error) if error.has_code(ErrorCode::NotFound) => error,
            found => return found,
        };
        let Some(path) = &self.here else {
            return Err(missing);
        };
        let body = CreateProject {
            repo_path: Some(path.clone()),
            ..CreateProject::default()
        };
        // Another machine has no such folder.
        let made = self.post_json::<_, ProjectView>("/projects", &body).await;
        made.map_or(Err(missing), |project| Ok(project.id.as_uuid()))
    }

    /// Writes a ticket of the project here.
    pub(crate) async fn create_ticket(
        &self,
        body: &CreateTicket,
    ) -> Result<TicketView, ClientError> {
        let project = self.begun_project_here().await?;
        self.post_json(&format!("/tickets?project_id={project}"), body)
            .await
    }

    pub(crate) async fn update_ticket(
        &self,
        ticket: &str,
        body: &UpdateTicket,
    ) -> Result<TicketView, ClientError> {
        let id = self.ticket_id(ticket, ReferenceUse::Act).await?;
        let path = format!("/tickets/{id}");
        let request = self.new_request(Method::PATCH, &path).json(body);
        Self::read_json(self.send_request(request).await?).await
    }

    pub(crate) async fn transition_ticket(
        &self,
        ticket: &str,
        body: &TransitionTicket,
    ) -> Result<TicketView, ClientError> {
        self.change_ticket(ticket, "transition", body).await
    }

    pub(crate) async fn block_ticket(
        &self,
        ticket: &str,
        body: &BlockTicket,
    ) -> Result<TicketView, ClientError> {
        self.change_ticket(ticket, "block", body).await
    }

    pub(crate) async fn unblock_ticket(&self, ticket: &str) -> Result<TicketView, ClientError> {
        let id = self.ticket_id(ticket, ReferenceUse::Act).await?;
        self.post_empty(&format!("/tickets/{id}/unblock")).await
    }

    pub(crate) async fn comment_on_ticket(
        &self,
        ticket: &str,
        content: &str,
    ) -> Result<CommentView, ClientError> {
        let id = self.ticket_id(ticket, ReferenceUse::Act).await?;
        let content = content.to_owned();
        self.post_json(
            &format!("/tickets/{id}/comments"),
            &WriteComment { content },
        )
        .await
    }

    async fn change_ticket<B: Serialize>(
        &self,
        ticket: &str,
        what: &str,
        body: &B,
    ) -> Result<TicketView, ClientError> {
        let id = self.ticket_id(ticket, ReferenceUse::Act).await?;
        let request = self.new_request(Method::POST, &format!("/tickets/{id}/{what}"));
        Self::read_json(self.send_request(request.json(body)).await?).await
    }

    pub(crate) async fn approve_ticket(&self, ticket: &str) -> Result<TicketView, ClientError> {
        let ticket_id = self.ticket_id(ticket, ReferenceUse::Act).await?.to_string();
        self.post_json("/tickets/approve", &ApproveTicket { ticket_id })
            .await
    }

    pub(crate) async fn reject_ticket(
        &self,
        ticket: &str,
        reason: &str,
    ) -> Result<TicketView, ClientError> {
        let body = RejectTicket {
            ticket_id: self.ticket_id(ticket, ReferenceUse::Act).await?.to_string(),
            rejection_reason: reason.to_owned(),
        };
        self.post_json("/tickets/reject", &body).await
    }

    /// Questions to people that stand like that, of every project.
    pub(crate) async fn decide_approval(
        &self,
        id: Uuid,
        body: &DecideApproval,
    ) -> Result<ApprovalView, ClientError> {
        self.post_json(&format!("/approvals/{id}/decide"), body)
            .await
    }

    pub(crate) async fn list_approvals(
        &self,
        state: ApprovalState,
    ) -> Result<Vec<ApprovalView>, ClientError> {
        self.get_rows(&format!("/approvals?state={state}")).await
    }

    /// The board of the project here.
    pub(crate) async fn view_board(&self) -> Result<BoardView, ClientError> {
        let project = self.project_here(ReferenceUse::Read).await?;
        self.get_json(&format!("/board/view?project_id={project}"))
            .await
    }
}
