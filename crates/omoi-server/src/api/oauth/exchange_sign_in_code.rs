//! `POST /auth/oauth/exchange`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::provider_sign_in::exchange_code;
use omoi_protocol::api::{SignInCode, TokenPair};

use crate::api::auth::{refuse_link, token_pair};
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::api::{Answer, Surface};

/// Gives the tokens of a sign-in by a provider for the code that the browser came back with.
///
/// The code is good once, for a minute.
#[utoipa::path(
    post, path = "/auth/oauth/exchange", tag = "oauth", request_body = SignInCode,
    responses((status = 200, description = "Tokens of a new session.", body = TokenPair))
)]
pub(super) async fn exchange_sign_in_code(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<SignInCode>,
) -> Answer<TokenPair> {
    let accounts = s.accounts.for_request(origin);
    let signed_in = exchange_code(&accounts, &body.code, &source).await;
    let signed_in = signed_in.map_err(|error| refuse_link(&s, error))?;
    Ok(Json(token_pair(&signed_in)))
}
