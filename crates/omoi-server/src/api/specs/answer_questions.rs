//! Answers what exploring for a spec left open.

use axum::Json;

use omoi_domain::approval::{ApprovalDecision, ApprovalKind};
use omoi_execution::commands::{self, PersonSaid};
use omoi_protocol::api::{AnswerQuestions, ApprovalView};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::approvals::approval_view;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Answers what exploring for a spec left open, where people are asked.
///
/// The product requirements are written with the answers, and again where they were written before.
#[utoipa::path(
    post, path = "/specs/{spec_id}/answers", tag = "specs", params(SpecPath, OfProject),
    request_body = AnswerQuestions,
    responses((status = 200, description = "The questions as they are then.", body = ApprovalView))
)]
pub(super) async fn answer_questions(
    caller: Allowed<needs::SpecApprove>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<AnswerQuestions>,
) -> Answer<ApprovalView> {
    let (id, tenant) = (caller.find_spec(&path, &of).await?.id, caller.own_rows());
    let said = PersonSaid {
        decision: ApprovalDecision::Answer,
        comment: Some(&body.answers),
    };
    let decided = commands::decide_output(tenant, id, ApprovalKind::Question, said).await?;
    let view = tenant.read(async |tx| approval_view(tx, decided).await);
    Ok(Json(view.await?))
}
