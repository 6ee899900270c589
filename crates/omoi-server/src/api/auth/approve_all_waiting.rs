//! `POST /auth/waitlist/approve-all`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::waitlist;
use omoi_protocol::api::ApprovedAccounts;

use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lets everybody in who waits; 500 at most, so that a longer list takes several requests.
#[utoipa::path(
    post, path = "/auth/waitlist/approve-all", tag = "auth",
    responses((status = 200, description = "How many were let in.", body = ApprovedAccounts))
)]
pub(super) async fn approve_all_waiting(
    caller: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<ApprovedAccounts> {
    let approved = waitlist::approve_all_waiting(&caller.accounts_of(&s)).await;
    let approved = approved.map_err(|error| s.refuse_account(error))?;
    Ok(Json(ApprovedAccounts { approved }))
}
