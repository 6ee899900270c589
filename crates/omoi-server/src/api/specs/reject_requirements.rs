//! Sends the requirements of a spec back.

use omoi_domain::approval::{ApprovalDecision, ApprovalKind};
use omoi_execution::commands::PersonSaid;
use omoi_protocol::api::{ApprovalView, RejectOutput};

use super::{OfProject, SpecPath, decided_output};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Sends the requirements of a spec back, where planning waits for that.
///
/// The phase is made again, and its agent is told the comment.
#[utoipa::path(
    post, path = "/specs/{spec_id}/reject-requirements", tag = "specs", params(SpecPath, OfProject),
    request_body = RejectOutput,
    responses((status = 200, description = "The question as it is then.", body = ApprovalView))
)]
pub(super) async fn reject_requirements(
    caller: Allowed<needs::SpecApprove>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<RejectOutput>,
) -> Answer<ApprovalView> {
    let spec = caller.find_spec(&path, &of).await?.id;
    let said = PersonSaid {
        decision: ApprovalDecision::Reject,
        comment: Some(&body.comment),
    };
    decided_output(&caller, spec, ApprovalKind::SpecRequirements, said).await
}
