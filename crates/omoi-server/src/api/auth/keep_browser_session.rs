//! `POST /auth/browser-session`.

use axum::extract::State;
use axum::response::Response;

use omoi_accounts::commands::browser_session;
use omoi_protocol::api::BrowserSessionView;

use super::kept_session;
use crate::api::Surface;
use crate::api::caller::BearerSignIn;
use crate::error::ApiError;

/// Lets a browser keep the sign-in of an access token in a cookie, which no script reads.
///
/// Only a page of this server may ask, or one that it allows; a cookie of an earlier sign-in is replaced.
#[utoipa::path(
    post, path = "/auth/browser-session", tag = "auth",
    responses((status = 200, description = "The browser has the cookie.", body = BrowserSessionView))
)]
pub(super) async fn keep_browser_session(
    BearerSignIn(session): BearerSignIn,
    State(s): Surface,
) -> Result<Response, ApiError> {
    let kept = browser_session::keep_session(&s.accounts, session).await;
    let kept = kept.map_err(|error| s.refuse_account(error))?;
    Ok(kept_session(&s, &kept))
}
