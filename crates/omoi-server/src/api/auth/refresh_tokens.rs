//! `POST /auth/refresh`.

use axum::Json;
use axum::extract::State;
use axum::http::Extensions;

use omoi_accounts::commands::refresh::refresh_session;
use omoi_accounts::refresh_token::read_refresh_token;
use omoi_domain::access::rate_limit::RateScope;
use omoi_protocol::api::{RefreshRequest, TokenPair};

use super::token_pair;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::api::{Answer, Surface};

/// Gives the next tokens of a session for its newest refresh token.
///
/// The one before gives the same successor for ten seconds, to programs that ask twice at once. An older one ends the
/// session: somebody has a copy.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth", request_body = RefreshRequest,
    responses((status = 200, description = "The next tokens.", body = TokenPair))
)]
pub(super) async fn refresh_tokens(
    _: Anyone,
    State(s): Surface,
    PeerSource { origin, .. }: PeerSource,
    extensions: Extensions,
    ApiBody(body): ApiBody<RefreshRequest>,
) -> Answer<TokenPair> {
    if let Some((named, _)) = read_refresh_token(&s.accounts.ring, &body.refresh_token) {
        let family = named.session.to_string();
        let scope = RateScope::RefreshFamily;
        s.limits.count(scope, &family, &extensions).await?;
    }
    let accounts = s.accounts.for_request(origin);
    let refreshed = refresh_session(&accounts, &body.refresh_token).await;
    let refreshed = refreshed.map_err(|error| s.refuse_account(error))?;
    Ok(Json(token_pair(&refreshed)))
}
