//! Tells whether a ticket may be worked on.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::approval::ApprovalState;
use omoi_domain::id::ProjectId;
use omoi_protocol::api::TicketApproval;
use omoi_store::approvals;

use super::ProjectOfTicket;
use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which ticket.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketApprovalQuery {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = json!("TKT-001"),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    ticket_id: String,
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Tells whether a ticket may be worked on, and until when somebody has to decide that.
#[utoipa::path(
    get, path = "/tickets/approval-status", tag = "tickets", params(TicketApprovalQuery),
    responses((status = 200, description = "What people decided.", body = TicketApproval))
)]
pub(super) async fn get_ticket_approval(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(query): ApiQuery<TicketApprovalQuery>,
) -> Answer<TicketApproval> {
    let of = ProjectOfTicket {
        project_id: query.project_id,
    };
    let ticket = caller.find_ticket(&query.ticket_id, &of).await?;
    let asked = caller
        .own_rows()
        .read(async |tx| approvals::newest_of_ticket(tx, ticket.id).await);
    let asked = asked.await?;
    let is_open = |state| state == ApprovalState::Pending;
    let deadline = asked.as_ref().filter(|asked| is_open(asked.state));
    Ok(Json(TicketApproval {
        ticket_id: ticket.id,
        approval_status: ticket.approval_status,
        approval_deadline_at: deadline.and_then(|asked| asked.deadline_at).map(Into::into),
        rejection_reason: asked
            .filter(|asked| asked.state == ApprovalState::Rejected)
            .and_then(|asked| asked.comment),
    }))
}
