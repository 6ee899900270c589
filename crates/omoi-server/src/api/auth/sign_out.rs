//! `POST /auth/logout`.

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

/// Ends the session of the request, with its refresh token and its access tokens.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth",
    responses((status = 204, description = "The session is over."))
)]
pub(super) async fn sign_out(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Result<Response, ApiError> {
    let user = expect_person(&caller)?;
    let session = caller.session_id().ok_or_else(|| {
        ApiError::forbidden_act("the token of the data folder is no sign-in that could end")
    })?;
    let ended = accounts::sign_out(&caller.accounts_of(&s), user, session).await;
    ended.map_err(|error| s.refuse_account(error))?;
    // A cookie that opens nothing any more is of no use to a browser.
    Ok(forget_session(&s.site, StatusCode::NO_CONTENT))
}
