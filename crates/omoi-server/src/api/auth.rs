//! Signing in, sessions, and keys of one's own.

mod change_password;
mod create_api_key;
mod get_account;
mod list_api_keys;
mod list_sessions;
mod refresh_tokens;
mod reset_password;
mod revoke_api_key;
mod revoke_session;
mod sign_in;
mod sign_out;
mod sign_out_everywhere;
mod unlock_account;
mod verify_email;

use secrecy::ExposeSecret as _;
use tracing::warn;

use omoi_accounts::commands::sign_in::RefusedSignIn;
use omoi_accounts::context::SignedIn;
use omoi_accounts::holder::CredentialHolder;
use omoi_domain::access::refresh::ACCESS_TOKEN_LIFE;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{ApiKeyView, TokenPair};
use omoi_store::api_keys::ApiKey;

pub(super) use self::create_api_key::expect_key_name;
use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    sessions().merge(followed_links()).merge(api_keys())
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
        .add(operation!(get_account::get_account))
        .add(operation!(
            change_password::change_password,
            InvalidCredentials,
            AccountLocked,
            RateLimited
        ))
        .add(operation!(list_sessions::list_sessions))
        .add(operation!(revoke_session::revoke_session, NotFound))
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
            PrivilegeEscalation,
            ReauthRequired,
            NotFound,
            TooManyKeys
        ))
        .add(operation!(revoke_api_key::revoke_api_key, NotFound))
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

/// A refused sign-in or refresh, of which the account's owner may be to learn.
fn refuse_sign_in(s: &ApiSurface, refused: RefusedSignIn) -> ApiError {
    if refused.mail.is_some() {
        warn!(
            "An account was locked or its token copied, and no mail tells its owner: there is no mail server"
        );
    }
    s.refuse_account(refused.error)
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
