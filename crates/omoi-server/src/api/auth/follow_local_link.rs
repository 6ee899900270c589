//! `POST /auth/local-link/exchange`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use omoi_accounts::commands::local_link;
use omoi_accounts::error::AccountError;
use omoi_protocol::api::{BrowserSessionView, LocalLinkCode};

use super::kept_session;
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::browser_cookies::expect_own_page;
use crate::error::ApiError;
use crate::options::ServerMode;

/// Signs in the browser of a laptop by the code of a link, for the person whose machine it is.
///
/// Only a page of this server may ask: no other can sign a browser in unasked.
#[utoipa::path(
    post, path = "/auth/local-link/exchange", tag = "auth", request_body = LocalLinkCode,
    responses((status = 200, description = "The browser has the cookie.", body = BrowserSessionView))
)]
pub(super) async fn follow_local_link(
    _: Anyone,
    State(s): Surface,
    headers: HeaderMap,
    PeerSource { source, origin }: PeerSource,
    ApiBody(body): ApiBody<LocalLinkCode>,
) -> Result<Response, ApiError> {
    if s.site.server_mode() != ServerMode::Local {
        return Err(s.refuse_link(AccountError::InvalidToken));
    }
    expect_own_page(&s.site, &headers)?;
    let accounts = s.accounts.for_request(origin);
    let followed = local_link::follow_local_link(&accounts, &body.code, &source).await;
    let kept = followed.map_err(|error| s.refuse_link(error))?;
    Ok(kept_session(&s, &kept))
}
