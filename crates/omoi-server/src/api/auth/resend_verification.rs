//! `POST /auth/resend-verification`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::verify;
use omoi_protocol::api::{MailAnnouncement, MailRequest};

use super::announce_mail;
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Has another verification mail come to an account that is not verified. The answer is the same without one.
#[utoipa::path(
    post, path = "/auth/resend-verification", tag = "auth", request_body = MailRequest,
    responses((status = 202, description = "A mail comes.", body = MailAnnouncement))
)]
pub(super) async fn resend_verification(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<MailRequest>,
) -> Result<(StatusCode, Json<MailAnnouncement>), ApiError> {
    s.expect_mail_server()?;
    let accounts = s.accounts.for_request(origin);
    let asked = verify::resend_verification(&accounts, &body.email, &source).await;
    asked.map_err(|error| s.refuse_account(error))?;
    Ok(announce_mail(
        "A mail comes to the address if its account is not verified yet",
    ))
}
