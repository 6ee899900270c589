//! Answers a question to people.

use axum::Json;

use omoi_domain::access::permission::Permission;
use omoi_domain::approval::{ApprovalDecision, ApprovalKind};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::merge::TakenSides;
use omoi_execution::commands::{self, TicketCommandError};
use omoi_protocol::api::{ApprovalView, DecideApproval};
use omoi_store::approvals;

use super::{ApprovalPath, approval_view};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Answers a question to people; of many who do at once, one is heard, and what is closed stays as it is.
///
/// A conflict is answered with one side in `comment`, or with a side for each of its `files`.
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
    let (tenant, id) = (caller.own_rows(), path.approval_id);
    let asked = tenant.read(async |tx| approvals::get(tx, id).await).await?;
    if asked.kind == ApprovalKind::RepositoryTrust {
        caller.expect_also(Permission::ProjectWrite)?;
    }
    if asked.spec_id.is_some() {
        caller.expect_also(Permission::SpecApprove)?;
    }
    let approval = match sides_in_body(&body)? {
        Some(sides) => commands::take_conflict_sides(tenant, id, &sides).await?,
        None => {
            let comment = body.comment.as_deref();
            commands::answer_approval(tenant, id, body.decision, comment).await?
        }
    };
    let view = tenant.read(async |tx| approval_view(tx, approval).await);
    Ok(Json(view.await?))
}

/// The sides that the body takes for single files; none where it names no file.
fn sides_in_body(body: &DecideApproval) -> Result<Option<TakenSides>, TicketCommandError> {
    if body.files.is_empty() {
        return Ok(None);
    }
    if body.decision != ApprovalDecision::Answer {
        return Err(ApprovalRefusal::NoConflict.into());
    }
    let of_comment = body.comment.as_deref().map(TakenSides::read_answer);
    let rest = of_comment.transpose().map_err(ApprovalRefusal::from)?;
    let sides = body
        .files
        .iter()
        .try_fold(rest.unwrap_or_default(), |sides, file| {
            sides.with_file(&file.path, file.side)
        });
    Ok(Some(sides.map_err(ApprovalRefusal::from)?))
}
