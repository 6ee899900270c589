//! The credential of a request, and where the request came from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use tracing::warn;

use omoi_accounts::commands::denied_key::note_denied_key;
use omoi_accounts::context::RequestSource;
use omoi_accounts::error::AccountError;
use omoi_accounts::holder::{
    CredentialHolder, CredentialKind, authenticate_credential, load_credential, reload_holder,
};
use omoi_domain::access::rate_limit::RateScope;
use omoi_domain::actor::Actor;
use omoi_domain::audit::RequestOrigin;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::CredentialId;
use omoi_runtime::telemetry::error_chain;

use super::ApiSurface;
use crate::access_log::{LoggedId, note_caller};
use crate::browser_cookies::{check_page, session_cookie};
use crate::error::ApiError;
use crate::request_token::{is_same_token, request_token};
use crate::site::Site;

/// The header in which proxies tell who asks.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// What of a request tells whose it is.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(crate) const fn of_parts(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    pub(crate) fn of_request(request: &'a Request) -> Self {
        Self {
            method: request.method(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// The credential of a request as it stands there: that of a header, else that of a cookie.
pub(super) fn credential_text<'a>(headers: &'a HeaderMap, surface: &ApiSurface) -> Option<&'a str> {
    request_token(headers).or_else(|| session_cookie(&surface.site, headers))
}

/// Finds who has the credential of a request: the token of the data folder behind its own doors, an access token, a key,
/// or the cookie of a sign-in.
///
/// # Errors
/// [`ErrorCode::Unauthenticated`] without one that is good now, [`ErrorCode::ConflictingCredentials`] where a header and
/// a cookie are of different sign-ins; a cookie that a page of others had sent is refused; and when the rows cannot be
/// read.
pub(super) async fn find_holder(
    head: RequestHead<'_>,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    let cookie = session_cookie(&surface.site, head.headers);
    let given = request_token(head.headers);
    let holder = match (given, cookie) {
        (Some(given), None) => holder_of_text(given, head, surface).await?,
        (None, Some(cookie)) => {
            let holder = holder_of_text(cookie, head, surface).await?;
            check_page(&surface.site, &surface.accounts.ring, head, &holder)?;
            holder
        }
        (Some(given), Some(cookie)) => {
            let holder = holder_of_text(given, head, surface).await?;
            expect_same_sign_in(&holder, cookie, surface).await?;
            holder
        }
        (None, None) => return Err(ApiError::no_credential()),
    };
    let caller = match holder.credential {
        CredentialKind::Folder => "owner".to_owned(),
        CredentialKind::Key(key) => format!("key {key}"),
        CredentialKind::SignIn { .. } => match holder.user_id() {
            Some(user) => format!("user {user}"),
            None => String::new(),
        },
    };
    note_caller(&caller);
    Ok(holder)
}

/// Whoever has the credential of a header, whatever cookie comes with it.
///
/// # Errors
/// As those of [`find_counted_holder`].
pub(super) async fn find_bearer(
    head: RequestHead<'_>,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    let given = request_token(head.headers).ok_or_else(ApiError::no_credential)?;
    let holder = holder_of_text(given, head, surface).await?;
    surface.limits.count_caller(&holder, head).await?;
    Ok(holder)
}

/// As [`find_holder`], for an operation, whose requests are counted.
///
/// # Errors
/// As those of [`find_holder`]; [`ErrorCode::RateLimited`].
pub(super) async fn find_counted_holder(
    head: RequestHead<'_>,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    let holder = find_holder(head, surface).await?;
    surface.limits.count_caller(&holder, head).await?;
    Ok(holder)
}

/// Whoever holds `given`. Texts that open nothing are counted by the address that they come from.
async fn holder_of_text(
    given: &str,
    head: RequestHead<'_>,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    if is_folder_token(given, surface) {
        return Ok(Arc::new(CredentialHolder::folder_owner()));
    }
    let found = authenticate_credential(&surface.accounts, given).await;
    match found {
        Ok(holder) => Ok(holder),
        Err(AccountError::InvalidToken) => {
            let address = peer_address(head.headers, head.extensions, &surface.site);
            let limits = &surface.limits;
            limits
                .count_address(RateScope::BadCredential, address, head.extensions)
                .await?;
            let origin = head_origin(head, None, &surface.site);
            let noted = note_denied_key(&surface.accounts.for_request(origin), given).await;
            // The refusal stands whether or not it can be told of.
            if let Err(error) = noted {
                warn!(error = %error_chain(&error), "A refused key is not in the audit log");
            }
            Err(ApiError::no_credential())
        }
        Err(other) => Err(surface.refuse_account(other)),
    }
}

/// Refuses a request whose cookie is of another sign-in than its header. A cookie that has ended says nothing.
async fn expect_same_sign_in(
    holder: &CredentialHolder,
    cookie: &str,
    surface: &ApiSurface,
) -> Result<(), ApiError> {
    match authenticate_credential(&surface.accounts, cookie).await {
        Err(AccountError::InvalidToken) => Ok(()),
        Ok(other) if other.session_id() == holder.session_id() => Ok(()),
        Ok(_) => {
            let says = "the request carries a header and a cookie of different sign-ins";
            Err(ApiError::new(ErrorCode::ConflictingCredentials, says).hint("send one of them"))
        }
        Err(other) => Err(surface.refuse_account(other)),
    }
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
    loaded.map_err(|error| refuse_credential(surface, error))
}

/// Who holds `given`, as the rows said in the last seconds and after the last revocation that this process heard of.
///
/// # Errors
/// As those of [`find_holder`].
pub(crate) async fn known_holder(
    given: &str,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    if is_folder_token(given, surface) {
        return Ok(Arc::new(CredentialHolder::folder_owner()));
    }
    let found = authenticate_credential(&surface.accounts, given).await;
    found.map_err(|error| refuse_credential(surface, error))
}

/// The holder of a ticket that was used up, as they are now.
///
/// # Errors
/// As those of [`find_holder`].
pub(crate) async fn load_again(
    holder: &CredentialHolder,
    surface: &ApiSurface,
) -> Result<Arc<CredentialHolder>, ApiError> {
    let loaded = reload_holder(&surface.accounts, holder).await;
    loaded.map_err(|error| refuse_credential(surface, error))
}

fn refuse_credential(surface: &ApiSurface, error: AccountError) -> ApiError {
    match error {
        AccountError::InvalidToken => ApiError::no_credential(),
        other => surface.refuse_account(other),
    }
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
pub(super) fn request_origin(
    parts: &Parts,
    holder: Option<&CredentialHolder>,
    site: &Site,
) -> RequestOrigin {
    head_origin(RequestHead::of_parts(parts), holder, site)
}

fn head_origin(
    head: RequestHead<'_>,
    holder: Option<&CredentialHolder>,
    site: &Site,
) -> RequestOrigin {
    let source = peer_source(head, site);
    let user_agent = source.short_user_agent();
    let credential = holder.and_then(|holder| match holder.credential {
        CredentialKind::Folder => None,
        CredentialKind::SignIn { session, .. } => Some(session.as_uuid()),
        CredentialKind::Key(key) => Some(key.as_uuid()),
    });
    let logged = head.extensions.get::<LoggedId>();
    RequestOrigin {
        actor: holder.map_or(Actor::System, |holder| holder.actor),
        credential: credential.map(CredentialId::from_uuid),
        ip: Some(source.ip.to_string()),
        user_agent: (!user_agent.is_empty()).then_some(user_agent),
        request_id: logged.map(|LoggedId(id)| id.clone()),
    }
}

/// The address that a request comes from, as far as our own proxies tell it.
pub(crate) fn peer_address(headers: &HeaderMap, extensions: &Extensions, site: &Site) -> IpAddr {
    let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else {
        // A socket file has no address: whoever opens it sits at this machine.
        return IpAddr::V4(Ipv4Addr::LOCALHOST);
    };
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let hops: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).collect();
    site.client_address(peer.ip(), hops.into_iter())
}

fn peer_source(head: RequestHead<'_>, site: &Site) -> RequestSource {
    let agent = head.headers.get(USER_AGENT);
    let user_agent = agent.and_then(|agent| agent.to_str().ok());
    RequestSource {
        ip: peer_address(head.headers, head.extensions, site),
        user_agent: user_agent.unwrap_or_default().to_owned(),
    }
}

impl FromRequestParts<ApiSurface> for PeerSource {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        surface: &ApiSurface,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            source: peer_source(RequestHead::of_parts(parts), &surface.site),
            origin: request_origin(parts, None, &surface.site),
        })
    }
}
