//! Who opens a socket of events. A browser tells a script nothing of an answer that refuses a socket, so whoever asks
//! for one gets it, and is then told by the code of its end why it is closed at once.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::live_ticket::redeem_live_ticket;
use omoi_accounts::holder::{CredentialHolder, CredentialKind};

use super::event_query::EventQuery;
use crate::api::ApiSurface;
use crate::api::caller::expect_kind;
use crate::api::credential::{RequestHead, load_holder};
use crate::api::policy::{RouteGuard, RoutePolicy};
use crate::browser_cookies::session_cookie;
use crate::error::ApiError;
use crate::live::access_watch::WatchedCredential;
use crate::request_token::request_token;
use crate::site_checks::foreign_origin;

/// What the subprotocol begins with that carries a credential.
const BEARER: &str = "bearer.";

/// From where on, and by which credential where no header carries it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketQuery {
    /// The last event that the caller knows, `SEQ` or `ORG=SEQ,ORG=SEQ`; without it from now on.
    pub(super) after_seq: Option<String>,
    /// A ticket of `POST /auth/ws-ticket`.
    ticket: Option<String>,
    /// An access token, for a client that can send it neither as a subprotocol nor as a header.
    token: Option<String>,
}

/// Whoever opens a socket: the first argument of its handler.
pub(super) struct SocketCaller {
    /// The socket, where one is asked for.
    pub(super) upgrade: Option<WebSocketUpgrade>,
    /// Who it is and what they ask for; or why it is closed at once.
    pub(super) found: Result<FoundCaller, ApiError>,
}

/// Somebody who may listen.
pub(super) struct FoundCaller {
    pub(super) credential: WatchedCredential,
    pub(super) holder: Arc<CredentialHolder>,
    pub(super) query: EventQuery<SocketQuery>,
}

impl RouteGuard for SocketCaller {
    const POLICY: RoutePolicy = RoutePolicy::SignedIn;
}

impl FromRequestParts<ApiSurface> for SocketCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, ApiError> {
        let upgrade = WebSocketUpgrade::from_request_parts(parts, surface).await;
        let found = find_caller(parts, surface).await;
        match (upgrade, found) {
            (Ok(upgrade), found) => Ok(Self {
                upgrade: Some(upgrade),
                found,
            }),
            (Err(_), Err(refused)) => Err(refused),
            (Err(_), found) => Ok(Self {
                upgrade: None,
                found,
            }),
        }
    }
}

async fn find_caller(parts: &mut Parts, surface: &ApiSurface) -> Result<FoundCaller, ApiError> {
    let query = EventQuery::<SocketQuery>::from_request_parts(parts, surface).await?;
    let (credential, holder) = match &query.own.ticket {
        Some(ticket) => {
            let redeemed = redeem_live_ticket(&surface.accounts, ticket).await;
            let holder = redeemed.map_err(|error| surface.refuse_account(error))?;
            // The folder's token opens the folder's own doors, and so does a ticket that was asked for with it.
            if holder.credential == CredentialKind::Folder && surface.token.is_none() {
                return Err(ApiError::no_credential());
            }
            (WatchedCredential::Ticket, holder)
        }
        None => holder_of_socket(&parts.headers, &query.own, surface).await?,
    };
    let head = RequestHead::of_parts(parts);
    surface.limits.count_caller(&holder, head).await?;
    expect_kind(&holder, RoutePolicy::SignedIn)?;
    Ok(FoundCaller {
        credential,
        holder,
        query,
    })
}

async fn holder_of_socket(
    headers: &HeaderMap,
    query: &SocketQuery,
    surface: &ApiSurface,
) -> Result<(WatchedCredential, Arc<CredentialHolder>), ApiError> {
    let cookie = session_cookie(&surface.site, headers);
    let found = socket_credential(headers, query, cookie).ok_or_else(ApiError::no_credential)?;
    if found.is_cookie {
        // Browsers send cookies with the sockets of every page.
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        if !origin.is_some_and(|origin| surface.site.is_allowed_origin(origin)) {
            return Err(foreign_origin());
        }
    }
    let holder = load_holder(found.text.expose_secret(), surface).await?;
    Ok((WatchedCredential::Text(found.text), holder))
}

/// The credential of a socket.
struct SocketCredential {
    text: SecretString,
    is_cookie: bool,
}

/// The first that there is of a subprotocol, a cookie, the query and a header.
fn socket_credential(
    headers: &HeaderMap,
    query: &SocketQuery,
    cookie: Option<&str>,
) -> Option<SocketCredential> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|offered| offered.to_str().ok());
    let mut offered = offered
        .flat_map(|offered| offered.split(','))
        .map(str::trim);
    let bearer = offered.find_map(|protocol| protocol.strip_prefix(BEARER));
    let is_cookie = bearer.is_none() && cookie.is_some();
    let found = bearer
        .or(cookie)
        .or(query.token.as_deref())
        .or_else(|| request_token(headers));
    found.map(|text| SocketCredential {
        text: text.into(),
        is_cookie,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use axum::http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn the_first_credential_there_is_counts() {
        let check = |protocols: &[&str],
                     token: Option<&str>,
                     bearer: Option<&str>,
                     expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for protocol in protocols {
                headers.append(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
            }
            if let Some(bearer) = bearer {
                headers.insert(AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
            }
            let query = SocketQuery {
                after_seq: None,
                ticket: None,
                token: token.map(ToOwned::to_owned),
            };
            let found = socket_credential(&headers, &query, None);
            let found = found.as_ref().map(|found| found.text.expose_secret());
            assert_eq!(found, expected, "{protocols:?} {token:?} {bearer:?}");
            // A cookie comes after what a page says by itself.
            let found = socket_credential(&headers, &query, Some("c")).unwrap();
            let is_said = protocols.iter().any(|offered| offered.contains(BEARER));
            assert_eq!(found.is_cookie, !is_said, "{protocols:?}");
        };
        check(&[], None, None, None);
        check(&["omoios.v1"], None, None, None);
        check(
            &["omoios.v1, bearer.a.b-c"],
            Some("q"),
            Some("h"),
            Some("a.b-c"),
        );
        check(&["omoios.v1", "bearer.x"], Some("q"), Some("h"), Some("x"));
        check(&["omoios.v1"], Some("q"), Some("h"), Some("q"));
        check(&[], None, Some("h"), Some("h"));
    }
}
