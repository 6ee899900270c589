//! `POST /auth/reset-password`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::password;
use omoi_protocol::api::PasswordResetRequest;

use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Sets a new password by the token of a link, and ends every session.
///
/// The token is good once, for an hour; a password that is refused does not use it up. Keys stay.
#[utoipa::path(
    post, path = "/auth/reset-password", tag = "auth", request_body = PasswordResetRequest,
    responses((status = 204, description = "The password is set."))
)]
pub(super) async fn reset_password(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<PasswordResetRequest>,
) -> Result<StatusCode, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let done =
        password::reset_password(&accounts, &body.token, body.new_password.into(), &source).await;
    done.map_err(|error| s.refuse_link(error))?;
    Ok(StatusCode::NO_CONTENT)
}
