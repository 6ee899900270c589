//! Says that the requirements of a spec may be gone on with.

use omoi_domain::approval::{ApprovalDecision, ApprovalKind};
use omoi_execution::commands::PersonSaid;
use omoi_protocol::api::{ApprovalView, ApproveOutput};

use super::{OfProject, SpecPath, decided_output};
use crate::api::Answer;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Says that the requirements of a spec may be gone on with, where planning waits for that.
///
/// Planning goes on by itself. A yes to what is another by now is refused.
#[utoipa::path(
    post, path = "/specs/{spec_id}/approve-requirements", tag = "specs", params(SpecPath, OfProject),
    request_body = ApproveOutput,
    responses((status = 200, description = "The question as it is then.", body = ApprovalView))
)]
pub(super) async fn approve_requirements(
    caller: Allowed<needs::SpecApprove>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<ApproveOutput>,
) -> Answer<ApprovalView> {
    let spec = caller.find_spec(&path, &of).await?.id;
    let said = PersonSaid {
        decision: ApprovalDecision::Approve,
        comment: body.comment.as_deref(),
    };
    decided_output(&caller, spec, ApprovalKind::SpecRequirements, said).await
}
