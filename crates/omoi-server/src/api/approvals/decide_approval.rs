//! Answers a question to people.

use axum::Json;

use omoi_execution::commands;
use omoi_protocol::api::{ApprovalView, DecideApproval};
use omoi_store::StoreError;

use super::{ApprovalPath, approval_views};
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
    let approval = commands::answer_approval(tenant, id, body.decision, comment).await?;
    let views = tenant.read(async |tx| approval_views(tx, vec![approval]).await);
    let view = views.await?.pop().ok_or_else(|| StoreError::NotFound {
        what: "approval",
        key: id.to_string(),
    })?;
    Ok(Json(view))
}
