//! `POST /auth/logout-all`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use omoi_accounts::commands::sign_out as accounts;

use super::expect_person;
use crate::api::Surface;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::browser_cookies::forget_session;
use crate::error::ApiError;

/// Ends every session of whoever asks. Keys stay.
#[utoipa::path(
    post, path = "/auth/logout-all", tag = "auth",
    responses((status = 204, description = "All sessions are over."))
)]
pub(super) async fn sign_out_everywhere(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Result<Response, ApiError> {
    let user = expect_person(&caller)?;
    let ended = accounts::sign_out_everywhere(&caller.accounts_of(&s), user).await;
    ended.map_err(|error| s.refuse_account(error))?;
    // A cookie that opens nothing any more is of no use to a browser.
    Ok(forget_session(&s.site, StatusCode::NO_CONTENT))
}
