//! Signing in, sessions, and keys of one's own.

mod approve_all_waiting;
mod approve_waiting;
mod ask_device_login;
mod begin_device_login;
mod change_password;
mod create_api_key;
mod create_live_ticket;
mod create_local_link;
mod decide_device_login;
mod delete_account;
mod follow_local_link;
mod forgot_password;
mod get_account;
mod get_device_login;
mod keep_browser_session;
mod list_api_keys;
mod list_sessions;
mod list_waitlist;
mod refresh_tokens;
mod register_account;
mod resend_verification;
mod reset_password;
mod revoke_api_key;
mod revoke_session;
mod sign_in;
mod sign_out;
mod sign_out_everywhere;
mod unlock_account;
mod update_account;
mod verify_email;

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::browser_session::BrowserSession;
use omoi_accounts::context::SignedIn;
use omoi_accounts::holder::CredentialHolder;
use omoi_domain::access::decision::OrganisationReach;
use omoi_domain::access::refresh::ACCESS_TOKEN_LIFE;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{
    AccountView, ApiKeyView, BrowserSessionView, EXAMPLE_USER, MailAnnouncement,
    OrganizationAccess, TokenPair,
};
use omoi_store::api_keys::ApiKey;
use omoi_store::users::User;

pub(super) use self::create_api_key::expect_key_name;
use super::ApiSurface;
use super::account_refusal::password_refusal;
use super::router::{ApiRouter, operation};
use crate::browser_cookies::keep_session;
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    sessions()
        .merge(account())
        .merge(mails())
        .merge(followed_links())
        .merge(waitlist())
        .merge(api_keys())
        .merge(browsers())
}

fn browsers() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            create_live_ticket::create_live_ticket,
            AlreadyShown
        ))
        .add(operation!(keep_browser_session::keep_browser_session))
        .add(operation!(
            create_local_link::create_local_link,
            AlreadyShown
        ))
        .add(operation!(
            follow_local_link::follow_local_link,
            InvalidToken
        ))
        .add(operation!(begin_device_login::begin_device_login))
        .add(operation!(
            ask_device_login::ask_device_login,
            InvalidToken,
            TooManyKeys
        ))
        .add(operation!(get_device_login::get_device_login, InvalidToken))
        .add(operation!(
            decide_device_login::decide_device_login,
            EmailNotVerified,
            InvalidToken
        ))
}

fn sessions() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            sign_in::sign_in,
            InvalidCredentials,
            AccountLocked,
            RateLimited
        ))
        .add(operation!(
            refresh_tokens::refresh_tokens,
            Unauthenticated,
            TokenReused
        ))
        .add(operation!(sign_out::sign_out))
        .add(operation!(sign_out_everywhere::sign_out_everywhere))
        .add(operation!(
            change_password::change_password,
            InvalidCredentials,
            AccountLocked,
            RateLimited
        ))
        .add(operation!(list_sessions::list_sessions))
        .add(operation!(revoke_session::revoke_session, NotFound))
}

fn account() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_account::get_account))
        .add(operation!(update_account::update_account))
        .add(operation!(
            delete_account::delete_account,
            ReauthRequired,
            LastOwner
        ))
}

fn mails() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            register_account::register_account,
            InvalidToken,
            RegistrationClosed,
            RateLimited,
            MailNotConfigured
        ))
        .add(operation!(
            resend_verification::resend_verification,
            RateLimited,
            MailNotConfigured
        ))
        .add(operation!(
            forgot_password::forgot_password,
            RateLimited,
            MailNotConfigured
        ))
}

fn waitlist() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_waitlist::list_waitlist))
        .add(operation!(approve_waiting::approve_waiting, NotFound))
        .add(operation!(approve_all_waiting::approve_all_waiting))
}

fn followed_links() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            verify_email::verify_email,
            InvalidToken,
            RateLimited
        ))
        .add(operation!(
            reset_password::reset_password,
            InvalidToken,
            RateLimited
        ))
        .add(operation!(unlock_account::unlock_account, InvalidToken))
}

fn api_keys() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_api_keys::list_api_keys))
        .add(operation!(
            create_api_key::create_api_key,
            AlreadyShown,
            EmailNotVerified,
            OnWaitlist,
            PrivilegeEscalation,
            ReauthRequired,
            NotFound,
            TooManyKeys
        ))
        .add(operation!(revoke_api_key::revoke_api_key, NotFound))
}

/// An answer that has a browser keep a sign-in.
fn kept_session(s: &ApiSurface, kept: &BrowserSession) -> Response {
    let view = BrowserSessionView {
        csrf_token: kept.csrf_token.clone(),
        expires_at: kept.expires_at.into(),
    };
    keep_session(&s.site, kept, s.parts.clock.now(), Json(view))
}

/// The person who asks.
///
/// # Errors
/// [`omoi_domain::error_code::ErrorCode::Forbidden`] to a key of an organisation; policies of accounts refuse it before.
pub(super) fn expect_person(holder: &CredentialHolder) -> Result<UserId, ApiError> {
    let user = holder.user_id();
    user.ok_or_else(|| ApiError::forbidden_act("this credential is no person's"))
}

pub(super) fn token_pair(signed_in: &SignedIn) -> TokenPair {
    TokenPair {
        access_token: signed_in.access_token.expose_secret().to_owned(),
        refresh_token: signed_in.refresh_token.expose_secret().to_owned(),
        token_type: "bearer".to_owned(),
        expires_in: ACCESS_TOKEN_LIFE.as_secs(),
        session_id: signed_in.session,
        session_expires_at: signed_in.expires_at.into(),
    }
}

/// Whose account waits.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct WaitingPath {
    /// Row id of the person.
    #[param(example = json!(EXAMPLE_USER))]
    user_id: UserId,
}

/// The answer to a request that a mail answers, whether or not one comes.
fn announce_mail(message: &str) -> (StatusCode, Json<MailAnnouncement>) {
    let message = message.to_owned();
    (StatusCode::ACCEPTED, Json(MailAnnouncement { message }))
}

/// An account as its person sees it.
fn account_view(user: User, holder: &CredentialHolder) -> AccountView {
    AccountView {
        id: user.id,
        is_verified: user.is_verified(),
        waiting_since: user.waiting_since_at.map(Into::into),
        full_name: user.name,
        email: user.email,
        department: user.department,
        attributes: user.attributes.unwrap_or_default().0,
        is_staff: user.is_staff,
        last_login_at: user.last_sign_in_at.map(Into::into),
        created_at: user.created_at.map(Into::into),
        organizations: holder.reaches.iter().map(organization_access).collect(),
    }
}

fn organization_access(reach: &OrganisationReach) -> OrganizationAccess {
    OrganizationAccess {
        organization_id: reach.org,
        permissions: reach.permissions_in(None).list_permissions().collect(),
    }
}

fn api_key_view(key: ApiKey, now: Timestamp) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        is_active: key.is_live(now),
        name: key.name,
        key_prefix: key.shown_prefix,
        scopes: key.scopes.0,
        organization_id: key.org_id,
        created_at: key.created_at.into(),
        last_used_at: key.last_used_at.map(Into::into),
        expires_at: key.expires_at.map(Into::into),
    }
}
