//! Signing in by an account at GitHub or Google.

mod begin_provider_sign_in;
mod end_provider_sign_in;
mod exchange_sign_in_code;
mod get_provider_url;
mod link_provider;
mod list_linked_providers;
mod list_providers;
mod unlink_provider;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::provider_sign_in::{BegunFlow, ProviderSignInError};
use omoi_domain::access::provider_identity::{AWAY_MAX, IdentityProvider};
use omoi_domain::error_code::ErrorCode;

use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

/// What the browser keeps while its person is at a provider. It comes back with the way from another site, so that it
/// cannot be a strict cookie; nothing but the end of that way reads it.
const FLOW_COOKIE: &str = "omoi_sign_in";
/// The paths that it is sent to.
const COOKIE_PATH: &str = "/api/v1/auth/oauth";
/// Where browsers end that name nothing else.
const USUAL_RETURN: &str = "/docs";

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_providers::list_providers))
        .add(operation!(list_linked_providers::list_linked_providers))
        .add(operation!(
            get_provider_url::get_provider_url,
            OauthNotConfigured
        ))
        .add(operation!(
            begin_provider_sign_in::begin_provider_sign_in,
            OauthNotConfigured
        ))
        .add(operation!(
            end_provider_sign_in::end_provider_sign_in,
            InvalidToken
        ))
        .add(operation!(
            exchange_sign_in_code::exchange_sign_in_code,
            InvalidToken
        ))
        .add(operation!(link_provider::link_provider, OauthNotConfigured))
        .add(operation!(
            unlink_provider::unlink_provider,
            NotFound,
            LastWayIn
        ))
}

/// Which provider.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProviderPath {
    /// Its name.
    #[param(inline, example = "github")]
    provider: IdentityProvider,
}

/// Where the browser goes at the end.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnQuery {
    /// A path of this server, or an address below its public one; `/docs` without it.
    #[param(max_length = 2000)]
    return_to: Option<String>,
}

impl ReturnQuery {
    fn address(&self) -> &str {
        self.return_to.as_deref().unwrap_or(USUAL_RETURN)
    }
}

/// The refusal of a way to a provider that was asked for by a program.
fn refuse_provider(s: &ApiSurface, error: ProviderSignInError) -> ApiError {
    let says = error.to_string();
    let refuse = |code| ApiError::new(code, says.clone());
    match error {
        ProviderSignInError::NotSetUp(_) => refuse(ErrorCode::OauthNotConfigured)
            .hint("whoever runs the platform sets `server.public_url` and the provider's client id and secret"),
        ProviderSignInError::ReturnsElsewhere => {
            refuse(ErrorCode::ValidationFailed).with_field("return_to")
        }
        ProviderSignInError::UnknownFlow => refuse(ErrorCode::InvalidToken),
        ProviderSignInError::LastWayIn(_) => refuse(ErrorCode::LastWayIn),
        ProviderSignInError::NoAccount
        | ProviderSignInError::NoAddress
        | ProviderSignInError::AskPassword
        | ProviderSignInError::OfAnother => refuse(ErrorCode::Conflict),
        ProviderSignInError::Provider(source) => ApiError::internal_failure(&source),
        ProviderSignInError::Account(source) => s.refuse_account(source),
    }
}

/// What the browser kept.
fn kept_secret(headers: &HeaderMap) -> Option<&str> {
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == FLOW_COOKIE).then_some(value)
    })
}

/// An answer that has the browser keep what ends its way.
fn keep_in_browser(s: &ApiSurface, begun: &BegunFlow, answer: impl IntoResponse) -> Response {
    let seconds = AWAY_MAX.as_secs();
    let secret = begun.browser_secret.expose_secret();
    set_flow_cookie(s, answer, &format!("{secret}; Max-Age={seconds}"))
}

/// The same with the browser forgetting it.
fn forget_in_browser(s: &ApiSurface, answer: impl IntoResponse) -> Response {
    set_flow_cookie(s, answer, "; Max-Age=0")
}

fn set_flow_cookie(s: &ApiSurface, answer: impl IntoResponse, value: &str) -> Response {
    let secure = match s.providers.is_encrypted() {
        true => "; Secure",
        false => "",
    };
    let cookie =
        format!("{FLOW_COOKIE}={value}; Path={COOKIE_PATH}; HttpOnly; SameSite=Lax{secure}");
    let mut response = answer.into_response();
    // What is random is base64url: it can stand in a header.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
