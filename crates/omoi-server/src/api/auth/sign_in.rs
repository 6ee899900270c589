//! `POST /auth/login`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::sign_in as accounts;
use omoi_protocol::api::{SignInRequest, TokenPair};

use super::token_pair;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::api::{Answer, Surface};

/// Signs in by mail address and password.
///
/// A wrong address and a wrong password are answered alike. Five failures within 15 minutes lock the account to that
/// network for 15 minutes.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", request_body = SignInRequest,
    responses((status = 200, description = "Tokens of a new session.", body = TokenPair))
)]
pub(super) async fn sign_in(
    _: Anyone,
    State(s): Surface,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<SignInRequest>,
) -> Answer<TokenPair> {
    let accounts = s.accounts.for_request(origin);
    let password = body.password.into();
    let signed_in = accounts::sign_in(&accounts, &body.email, password, &source).await;
    let signed_in = signed_in.map_err(|error| s.refuse_account(error))?;
    Ok(Json(token_pair(&signed_in)))
}
