//! `POST /auth/waitlist/{user_id}/approve`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::waitlist;
use omoi_store::StoreError;

use super::WaitingPath;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Lets an account in that waits.
#[utoipa::path(
    post, path = "/auth/waitlist/{user_id}/approve", tag = "auth", params(WaitingPath),
    responses((status = 204, description = "They are let in."))
)]
pub(super) async fn approve_waiting(
    caller: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
    ApiPath(path): ApiPath<WaitingPath>,
) -> Result<StatusCode, ApiError> {
    let approved = waitlist::approve_waiting(&caller.accounts_of(&s), path.user_id).await;
    match approved.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "waiting account",
            key: path.user_id.to_string(),
        })),
    }
}
