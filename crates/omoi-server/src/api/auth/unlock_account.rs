//! `POST /auth/unlock`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::unlock;
use omoi_protocol::api::LinkToken;

use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Opens an account that too many tries locked, by the token of a link.
///
/// The token is good once, for an hour.
#[utoipa::path(
    post, path = "/auth/unlock", tag = "auth", request_body = LinkToken,
    responses((status = 204, description = "The account is open."))
)]
pub(super) async fn unlock_account(
    _: Anyone,
    State(s): Surface,
    PeerSource { origin, .. }: PeerSource,
    ApiBody(body): ApiBody<LinkToken>,
) -> Result<StatusCode, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let done = unlock::unlock_account(&accounts, &body.token).await;
    done.map_err(|error| s.refuse_link(error))?;
    Ok(StatusCode::NO_CONTENT)
}
