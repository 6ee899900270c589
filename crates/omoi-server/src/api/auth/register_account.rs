//! `POST /auth/register`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::register::{Registration, register_user};
use omoi_accounts::error::AccountError;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{MailAnnouncement, RegisterRequest};

use super::{announce_mail, password_refusal};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Makes an account. A mail comes to the address, also where it has an account, and says what to do.
///
/// Whoever brings the token of an invitation to that address is a member of the organisation with it, and signs in at
/// once.
#[utoipa::path(
    post, path = "/auth/register", tag = "auth", request_body = RegisterRequest,
    responses((status = 202, description = "A mail comes.", body = MailAnnouncement))
)]
pub(super) async fn register_account(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<RegisterRequest>,
) -> Result<(StatusCode, Json<MailAnnouncement>), ApiError> {
    // The link of an invitation may have been handed over otherwise.
    if body.invitation_token.is_none() {
        s.accounts
            .registration
            .registration_way(false)
            .map_err(|closed| s.refuse_account(closed.into()))?;
        s.expect_mail_server()?;
    }
    let accounts = s.accounts.for_request(origin);
    let registration = Registration {
        email: body.email,
        password: body.password.into(),
        full_name: body.full_name,
        invitation: body.invitation_token.map(Into::into),
    };
    let made = register_user(&accounts, registration, &source).await;
    made.map_err(|error| match error {
        AccountError::WeakPassword(faults) => password_refusal(&faults, "/password"),
        AccountError::Name(bad) => {
            ApiError::new(ErrorCode::ValidationFailed, bad.to_string()).with_field("/full_name")
        }
        error => s.refuse_link(error),
    })?;
    Ok(announce_mail(
        "A mail comes to the address and says how to go on; with an invitation, sign in",
    ))
}
