//! Who opens a socket of events. A browser tells a script nothing of an answer that refuses a socket, so whoever asks
//! for one gets it, and is then told by the code of its end why it is closed at once.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::holder::CredentialHolder;

use super::event_query::EventQuery;
use crate::api::ApiSurface;
use crate::api::caller::expect_kind;
use crate::api::credential::load_holder;
use crate::api::policy::{RouteGuard, RoutePolicy};
use crate::error::ApiError;
use crate::request_token::request_token;

/// What the subprotocol begins with that carries a credential.
const BEARER: &str = "bearer.";

/// From where on, and by which credential where no header carries it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketQuery {
    /// The last event that the caller knows, `SEQ` or `ORG=SEQ,ORG=SEQ`; without it from now on.
    pub(super) after_seq: Option<String>,
    /// An access token, for a client that can send it neither as a subprotocol nor as a header.
    token: Option<String>,
}

/// Whoever opens a socket: the first argument of its handler.
pub(super) struct SocketCaller {
    /// The socket, where one is asked for.
    pub(super) upgrade: Option<WebSocketUpgrade>,
    /// Whose it is, and by which credential; or why it is closed at once.
    pub(super) found: Result<(SecretString, Arc<CredentialHolder>), ApiError>,
    pub(super) query: EventQuery<SocketQuery>,
}

impl RouteGuard for SocketCaller {
    const POLICY: RoutePolicy = RoutePolicy::SignedIn;
}

impl FromRequestParts<ApiSurface> for SocketCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, ApiError> {
        let query = EventQuery::<SocketQuery>::from_request_parts(parts, surface).await?;
        let upgrade = WebSocketUpgrade::from_request_parts(parts, surface).await;
        let found = find_caller(&parts.headers, &query.own, surface).await;
        match (upgrade, found) {
            (Ok(upgrade), found) => Ok(Self {
                upgrade: Some(upgrade),
                found,
                query,
            }),
            (Err(_), Err(refused)) => Err(refused),
            (Err(_), found) => Ok(Self {
                upgrade: None,
                found,
                query,
            }),
        }
    }
}

async fn find_caller(
    headers: &HeaderMap,
    query: &SocketQuery,
    surface: &ApiSurface,
) -> Result<(SecretString, Arc<CredentialHolder>), ApiError> {
    let credential = socket_credential(headers, query).ok_or_else(ApiError::no_credential)?;
    let holder = load_holder(credential.expose_secret(), surface).await?;
    expect_kind(&holder, RoutePolicy::SignedIn)?;
    Ok((credential, holder))
}

/// The credential of a socket: the first that there is of a subprotocol, the query and a header.
///
/// A ticket, once there is one, comes before all of them; a cookie, with the `Origin` of our own pages, after the
/// subprotocol.
fn socket_credential(headers: &HeaderMap, query: &SocketQuery) -> Option<SecretString> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|offered| offered.to_str().ok());
    let mut offered = offered
        .flat_map(|offered| offered.split(','))
        .map(str::trim);
    let bearer = offered.find_map(|protocol| protocol.strip_prefix(BEARER));
    let found = bearer
        .or(query.token.as_deref())
        .or_else(|| request_token(headers));
    found.map(SecretString::from)
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
                token: token.map(ToOwned::to_owned),
            };
            let found = socket_credential(&headers, &query);
            let found = found.as_ref().map(SecretString::expose_secret);
            assert_eq!(found, expected, "{protocols:?} {token:?} {bearer:?}");
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
