//! `POST /auth/oauth/exchange`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use omoi_accounts::commands::provider_sign_in::exchange_code;
use omoi_protocol::api::{SignInCode, TokenPair};

use super::{forget_in_browser, kept_secret};
use crate::api::Surface;
use crate::api::auth::token_pair;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Gives the tokens of a sign-in by a provider for the code that the browser came back with.
///
/// The code is good once, for a minute, and in that browser alone.
#[utoipa::path(
    post, path = "/auth/oauth/exchange", tag = "oauth", request_body = SignInCode,
    responses((status = 200, description = "Tokens of a new session.", body = TokenPair))
)]
pub(super) async fn exchange_sign_in_code(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    headers: HeaderMap,
    ApiBody(body): ApiBody<SignInCode>,
) -> Result<Response, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let shown = (body.code.as_str(), kept_secret(&headers));
    let signed_in = exchange_code(&accounts, shown, &source).await;
    let signed_in = signed_in.map_err(|error| s.refuse_link(error))?;
    Ok(forget_in_browser(&s, Json(token_pair(&signed_in))))
}
