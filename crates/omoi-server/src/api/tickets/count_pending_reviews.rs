//! Counts what waits for a person's yes.

use axum::Json;

use omoi_protocol::api::PendingReviewCount;
use omoi_store::approvals;

use super::ProjectOfTicket;
use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Counts the questions to people that nobody has answered yet.
#[utoipa::path(
    get, path = "/tickets/pending-review-count", tag = "tickets", params(ProjectOfTicket),
    responses((status = 200, description = "The count.", body = PendingReviewCount))
)]
pub(super) async fn count_pending_reviews(
    caller: Allowed<needs::TicketRead>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<PendingReviewCount> {
    let project = of.project_id.or_else(|| caller.only_project());
    let count = caller
        .own_rows()
        .read(async |tx| approvals::count_pending(tx, project).await);
    Ok(Json(PendingReviewCount {
        pending_count: count.await?,
    }))
}
