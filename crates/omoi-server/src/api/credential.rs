//! The credential of a request, and where the request came from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use omoi_accounts::context::RequestSource;
use omoi_accounts::error::AccountError;
use omoi_accounts::holder::{
    CredentialHolder, CredentialKind, authenticate_credential, load_credential,
};
use omoi_domain::actor::Actor;
use omoi_domain::audit::RequestOrigin;
use omoi_domain::id::CredentialId;

use super::ApiSurface;
use crate::access_log::{LoggedId, note_caller};
use crate::error::ApiError;
use crate::request_token::{is_same_token, request_token};

/// Finds who has the credential of a request: the token of the data folder behind its own doors, an access token or a
/// key.
///
/// # Errors
/// [`omoi_domain::error_code::ErrorCode::Unauthenticated`] without one that is good now; and when the rows cannot be
/// read.
pub(super) async fn find_holder(
    headers: &HeaderMap,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    let given = request_token(headers).ok_or_else(ApiError::no_credential)?;
    if is_folder_token(given, surface) {
        note_caller("owner");
        return Ok(Arc::new(CredentialHolder::folder_owner()));
    }
    let found = authenticate_credential(&surface.accounts, given).await;
    let holder = found.map_err(|error| match error {
        AccountError::InvalidToken => ApiError::no_credential(),
        other => surface.refuse_account(other),
    })?;
    let caller = match holder.credential {
        CredentialKind::Key(key) => format!("key {key}"),
        CredentialKind::Folder | CredentialKind::SignIn { .. } => match holder.user_id() {
            Some(user) => format!("user {user}"),
            None => String::new(),
        },
    };
    note_caller(&caller);
    Ok(holder)
}

/// Who holds `given`, as the rows say now, whatever they said in the last seconds.
///
/// # Errors
/// As those of [`find_holder`].
pub(crate) async fn load_holder(
    given: &str,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    if is_folder_token(given, surface) {
        return Ok(Arc::new(CredentialHolder::folder_owner()));
    }
    let loaded = load_credential(&surface.accounts, given).await;
    loaded.map_err(|error| match error {
        AccountError::InvalidToken => ApiError::no_credential(),
        other => surface.refuse_account(other),
    })
}

fn is_folder_token(given: &str, surface: &ApiSurface) -> bool {
    let folder_token = surface.token.as_deref();
    folder_token.is_some_and(|token| is_same_token(given, token))
}

/// Where a request came from, for what is counted and shown by address, and for the audit log.
pub(super) struct PeerSource {
    pub(super) source: RequestSource,
    pub(super) origin: RequestOrigin,
}

/// Who and what a request comes from: its `holder`, or somebody who is not known yet.
pub(super) fn request_origin(parts: &Parts, holder: Option<&CredentialHolder>) -> RequestOrigin {
    let source = peer_source(parts);
    let user_agent = source.short_user_agent();
    let credential = holder.and_then(|holder| match holder.credential {
        CredentialKind::Folder => None,
        CredentialKind::SignIn { session, .. } => Some(session.as_uuid()),
        CredentialKind::Key(key) => Some(key.as_uuid()),
    });
    let logged = parts.extensions.get::<LoggedId>();
    RequestOrigin {
        actor: holder.map_or(Actor::System, |holder| holder.actor),
        credential: credential.map(CredentialId::from_uuid),
        ip: Some(source.ip.to_string()),
        user_agent: (!user_agent.is_empty()).then_some(user_agent),
        request_id: logged.map(|LoggedId(id)| id.clone()),
    }
}

fn peer_source(parts: &Parts) -> RequestSource {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    // A socket file has no address: whoever opens it sits at this machine.
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let agent = parts.headers.get(USER_AGENT);
    let user_agent = agent.and_then(|agent| agent.to_str().ok());
    RequestSource {
        ip: peer.map_or(here, |ConnectInfo(peer)| peer.ip().to_canonical()),
        user_agent: user_agent.unwrap_or_default().to_owned(),
    }
}

impl FromRequestParts<ApiSurface> for PeerSource {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiSurface) -> Result<Self, Infallible> {
        Ok(Self {
            source: peer_source(parts),
            origin: request_origin(parts, None),
        })
    }
}
