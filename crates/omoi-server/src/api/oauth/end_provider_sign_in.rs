//! `GET /auth/oauth/{provider}/callback`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tracing::warn;
use utoipa::IntoParams;

use omoi_accounts::commands::provider_sign_in::{
    FlowEnd, ProviderSignInError, ReturnedBrowser, end_flow, take_flow,
};
use omoi_accounts::error::AccountError;

use super::{ProviderPath, forget_in_browser, kept_secret, refuse_provider};
use crate::api::body::ApiPath;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::api::query::ApiQuery;
use crate::api::{ApiSurface, Surface};
use crate::error::ApiError;

/// What a provider sends a browser back with. Others are of no use here, and no mistake.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ProviderReturn {
    /// What the browser was sent there with.
    #[param(example = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]
    state: String,
    /// The provider's code, where the person consented.
    code: Option<String>,
}

/// Takes a browser back from a provider, and sends it on with what came of it behind `#`: `code`, for
/// `POST /auth/oauth/exchange` within a minute; `linked`; or `error`.
///
/// A browser other than the one that went there is refused, and a second return.
#[utoipa::path(
    get, path = "/auth/oauth/{provider}/callback", tag = "oauth", params(ProviderPath, ProviderReturn),
    responses((status = 303, description = "Where the sign-in was begun."))
)]
pub(super) async fn end_provider_sign_in(
    _: Anyone,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderPath>,
    ApiQuery(back): ApiQuery<ProviderReturn>,
    PeerSource { origin, .. }: PeerSource,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let browser = ReturnedBrowser {
        provider: path.provider,
        state: &back.state,
        browser_secret: kept_secret(&headers),
    };
    let returned = take_flow(&accounts, browser).await;
    let returned = returned.map_err(|error| refuse_provider(&s, error))?;
    let ended = match &back.code {
        Some(code) => end_flow(&accounts, &s.providers, &returned, code).await,
        None => return Ok(send_on(&s, returned.return_to(), "error=denied")),
    };
    let fragment = match ended {
        // The browser shows that it is the one once more, when it fetches its tokens.
        Ok(FlowEnd::SignedIn(code)) => {
            let fragment = format!("code={}", code.expose_secret());
            return Ok(redirect_with(returned.return_to(), &fragment).into_response());
        }
        Ok(FlowEnd::Linked) => format!("linked={}", path.provider),
        Err(error) => format!("error={}", told_error(&error)),
    };
    Ok(send_on(&s, returned.return_to(), &fragment))
}

fn send_on(s: &ApiSurface, return_to: &str, fragment: &str) -> Response {
    forget_in_browser(s, redirect_with(return_to, fragment))
}

fn redirect_with(return_to: &str, fragment: &str) -> Redirect {
    let address = return_to.split('#').next().unwrap_or(return_to);
    Redirect::to(&format!("{address}#{fragment}"))
}

/// The word for a page; what went wrong on our side or the provider's is told to the log.
fn told_error(error: &ProviderSignInError) -> &'static str {
    match error {
        ProviderSignInError::NoAccount => "no_account",
        ProviderSignInError::NoAddress => "no_address",
        ProviderSignInError::AskPassword => "password_required",
        ProviderSignInError::OfAnother => "linked_elsewhere",
        ProviderSignInError::UnknownFlow
        | ProviderSignInError::NotSetUp(_)
        | ProviderSignInError::ReturnsElsewhere
        | ProviderSignInError::LastWayIn(_)
        | ProviderSignInError::Account(AccountError::InvalidToken) => "begin_again",
        ProviderSignInError::Provider(source) => {
            warn!(error = %source, "A sign-in provider did not tell who somebody is");
            "provider_failed"
        }
        ProviderSignInError::Account(source) => {
            warn!(error = %source, "A sign-in by a provider failed");
            "failed"
        }
    }
}
