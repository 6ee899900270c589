//! Answers a question to people.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::approval::ApprovalKind;
use omoi_execution::commands;
use omoi_protocol::api::{ApprovalView, DecideApproval};
use omoi_store::approvals;

use super::{ApprovalPath, approval_view};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Answers a question to people; of many who do at once, one is heard, and what is closed stays as it is.
#[utoipa::path(
    post, path = "/approvals/{approval_id}/decide", tag = "approvals", request_body = DecideApproval,
    params(ApprovalPath),
    responses((status = 200, description = "The question as it is then.", body = ApprovalView))
)]
pub(super) async fn decide_approval(
    caller: Allowed<needs::TicketApprove>,
    ApiPath(path): ApiPath<ApprovalPath>,
    ApiBody(body): ApiBody<DecideApproval>,
) -> Answer<ApprovalView> {
    let (tenant, id, comment) = (caller.own_rows(), path.approval_id, body.comment.as_deref());
    let asked = tenant.read(async |tx| approvals::get(tx, id).await).await?;
    if asked.kind == ApprovalKind::RepositoryTrust {
        caller.expect_also(Permission::ProjectWrite)?;
    }
    if asked.spec_id.is_some() {
        caller.expect_also(Permission::SpecApprove)?;
    }
    let approval = commands::answer_approval(tenant, id, body.decision, comment).await?;
    let view = tenant.read(async |tx| approval_view(tx, approval).await);
    Ok(Json(view.await?))
}
