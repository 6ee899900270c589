//! `POST /auth/forgot-password`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::password;
use omoi_protocol::api::{MailAnnouncement, MailRequest};

use super::announce_mail;
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Has a mail come by which a new password is set. The answer is the same where the address has no account.
#[utoipa::path(
    post, path = "/auth/forgot-password", tag = "auth", request_body = MailRequest,
    responses((status = 202, description = "A mail comes.", body = MailAnnouncement))
)]
pub(super) async fn forgot_password(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<MailRequest>,
) -> Result<(StatusCode, Json<MailAnnouncement>), ApiError> {
    s.expect_mail_server()?;
    let accounts = s.accounts.for_request(origin);
    let asked = password::ask_password_reset(&accounts, &body.email, &source).await;
    asked.map_err(|error| s.refuse_account(error))?;
    Ok(announce_mail(
        "A mail comes to the address if it has an account",
    ))
}
