//! The cookies of a sign-in: one that no script reads, and one whose word pages send beside it.

use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;

use omoi_accounts::browser_cookie::is_csrf_token;
use omoi_accounts::commands::browser_session::BrowserSession;
use omoi_accounts::holder::CredentialHolder;
use omoi_accounts::key_ring::KeyRing;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::time::Timestamp;

use crate::api::credential::RequestHead;
use crate::error::ApiError;
use crate::options::ServerMode;
use crate::site::Site;
use crate::site_checks::foreign_origin;

/// The header with the word that goes with a cookie.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// The cookie of a sign-in among those of a request.
pub(crate) fn session_cookie<'a>(site: &Site, headers: &'a HeaderMap) -> Option<&'a str> {
    find_cookie(headers, &session_name(site))
}

/// The cookie called `name`.
pub(crate) fn find_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

/// An answer that has the browser keep a sign-in.
pub(crate) fn keep_session(
    site: &Site,
    session: &BrowserSession,
    now: Timestamp,
    answer: impl IntoResponse,
) -> Response {
    let seconds = session.expires_at.since(now).as_secs();
    let values = [session.cookie.expose_secret(), &session.csrf_token];
    set_cookies(site, values, seconds, answer)
}

/// An answer that has the browser forget it.
pub(crate) fn forget_session(site: &Site, answer: impl IntoResponse) -> Response {
    set_cookies(site, ["", ""], 0, answer)
}

/// Refuses whoever is not a page of ours or an allowed one: a page of others must not sign a browser in.
///
/// # Errors
/// [`ErrorCode::OriginRefused`].
pub(crate) fn expect_own_page(site: &Site, headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    match origin.is_some_and(|origin| site.is_allowed_origin(origin)) {
        true => Ok(()),
        false => Err(foreign_origin()),
    }
}

/// Refuses what a page of others had the browser send: with a cookie, the page is ours or an allowed one, and what
/// changes something brings the word that goes with the cookie, too.
///
/// # Errors
/// [`ErrorCode::OriginRefused`], [`ErrorCode::CsrfRefused`].
pub(crate) fn check_page(
    site: &Site,
    ring: &KeyRing,
    head: RequestHead<'_>,
    holder: &CredentialHolder,
) -> Result<(), ApiError> {
    let origin = head.headers.get(ORIGIN);
    let is_allowed = origin.map(|origin| {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| site.is_allowed_origin(origin))
    });
    match (is_allowed, head.method.is_safe()) {
        (Some(false), _) | (None, false) => return Err(foreign_origin()),
        (_, true) => return Ok(()),
        (Some(true), false) => {}
    }
    let token = head.headers.get(CSRF).and_then(|token| token.to_str().ok());
    let session = holder.session_id();
    let is_word = token.zip(session);
    match is_word.is_some_and(|(token, session)| is_csrf_token(ring, session, token)) {
        true => Ok(()),
        false => {
            let says = "a change by a cookie needs the header `X-CSRF-Token` with the word of this sign-in";
            let hint = format!("it is the value of the cookie `{}`", csrf_name(site));
            Err(ApiError::new(ErrorCode::CsrfRefused, says).hint(hint))
        }
    }
}

fn set_cookies(
    site: &Site,
    [session, csrf]: [&str; 2],
    seconds: u64,
    answer: impl IntoResponse,
) -> Response {
    let same_site = match site.server_mode() {
        ServerMode::Local => "Strict",
        // A link in a mail leads in.
        ServerMode::Team => "Lax",
    };
    let secure = if site.is_encrypted() { "; Secure" } else { "" };
    let rest = format!("; Path=/; Max-Age={seconds}; SameSite={same_site}{secure}");
    let mut response = answer.into_response();
    for cookie in [
        format!("{}={session}{rest}; HttpOnly", session_name(site)),
        format!("{}={csrf}{rest}", csrf_name(site)),
    ] {
        // What is a MAC is base64url: it can stand in a header.
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

fn session_name(site: &Site) -> String {
    cookie_name(site, "omoi_session")
}

fn csrf_name(site: &Site) -> String {
    cookie_name(site, "omoi_csrf")
}

/// Browsers know no ports, so a laptop's has its own; over TLS no other host can set it.
fn cookie_name(site: &Site, name: &str) -> String {
    match (site.cookie_mark(), site.is_encrypted()) {
        (Some(port), _) => format!("{name}_{port}"),
        (None, true) => format!("__Host-{name}"),
        (None, false) => name.to_owned(),
    }
}
