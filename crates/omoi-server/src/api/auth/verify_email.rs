//! `POST /auth/verify-email`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::verify;
use omoi_protocol::api::LinkToken;

use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Shows that a mail address belongs to its account, by the token of a link.
///
/// The token is good once, for 24 hours.
#[utoipa::path(
    post, path = "/auth/verify-email", tag = "auth", request_body = LinkToken,
    responses((status = 204, description = "The address is verified."))
)]
pub(super) async fn verify_email(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<LinkToken>,
) -> Result<StatusCode, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let done = verify::verify_mail(&accounts, &body.token, &source).await;
    done.map_err(|error| s.refuse_link(error))?;
    Ok(StatusCode::NO_CONTENT)
}
