//! Shows a question to people.

use axum::Json;

use omoi_protocol::api::ApprovalView;
use omoi_store::{StoreError, approvals};

use super::{ApprovalPath, approval_views};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Shows a question to people.
#[utoipa::path(
    get, path = "/approvals/{approval_id}", tag = "approvals", params(ApprovalPath),
    responses((status = 200, description = "The question.", body = ApprovalView))
)]
pub(super) async fn get_approval(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<ApprovalPath>,
) -> Answer<ApprovalView> {
    let views = caller.own_rows().read(async |tx| {
        let approval = approvals::get(tx, path.approval_id).await?;
        approval_views(tx, vec![approval]).await
    });
    let view = views.await?.pop().ok_or_else(|| StoreError::NotFound {
        what: "approval",
        key: path.approval_id.to_string(),
    })?;
    Ok(Json(view))
}
