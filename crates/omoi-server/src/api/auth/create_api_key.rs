//! `POST /auth/api-keys`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::key::{NewApiKey, create_person_key};
use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::access::refresh::REAUTH_WITHIN;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{CreateApiKey, IssuedApiKey};
use omoi_store::StoreError;

use super::{api_key_view, expect_person};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::{AccountCaller, expect_verified};
use crate::api::policy::needs;
use crate::api::request_key::ShownOnce;
use crate::error::ApiError;

/// Characters of a key's name, at most.
const NAME_CHARS_MAX: usize = 100;
/// The scope that is everything.
const EVERYTHING: &str = "*:*";

/// Makes a key of whoever asks. It is told this once.
///
/// It never reaches further than its owner does when it is used.
#[utoipa::path(
    post, path = "/auth/api-keys", tag = "auth", request_body = CreateApiKey,
    responses((status = 201, description = "The key.", body = IssuedApiKey))
)]
pub(super) async fn create_api_key(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiBody(body): ApiBody<CreateApiKey>,
) -> Result<(StatusCode, Extension<ShownOnce>, Json<IssuedApiKey>), ApiError> {
    let user = expect_person(&caller)?;
    let now = s.parts.clock.now();
    check_request(&caller, &body, now)?;
    let new = NewApiKey {
        name: body.name,
        scopes: body.scopes,
        days: body.expires_in_days,
    };
    let made = create_person_key(&caller.accounts_of(&s), user, body.organization_id, new).await;
    let made = made.map_err(|error| s.refuse_account(error))?;
    let issued = IssuedApiKey {
        key: made.key.expose_secret().to_owned(),
        api_key: api_key_view(made.row, now),
    };
    Ok((StatusCode::CREATED, Extension(ShownOnce), Json(issued)))
}

/// Refuses what people could not tell a key by.
pub(in crate::api) fn expect_key_name(name: &str) -> Result<(), ApiError> {
    let is_said = !name.trim().is_empty();
    match is_said && name.chars().count() <= NAME_CHARS_MAX {
        true => Ok(()),
        false => {
            let says = format!("a key's name has 1 to {NAME_CHARS_MAX} characters");
            Err(ApiError::invalid_value(says).with_field("/name"))
        }
    }
}

fn check_request(
    holder: &CredentialHolder,
    body: &CreateApiKey,
    now: Timestamp,
) -> Result<(), ApiError> {
    expect_verified(holder)?;
    expect_key_name(&body.name)?;
    if let Some(org) = body.organization_id
        && !holder.reaches.iter().any(|reach| reach.org == org)
    {
        return Err(ApiError::from(StoreError::NotFound {
            what: "organisation",
            key: org.to_string(),
        }));
    }
    let is_full = body.scopes.iter().any(|scope| scope.as_str() == EVERYTHING);
    if let CredentialKind::SignIn { signed_in_at, .. } = holder.credential
        && is_full
        && now.since(signed_in_at) >= REAUTH_WITHIN
    {
        let says = "a key with every permission needs a password given in the last 10 minutes";
        return Err(ApiError::new(ErrorCode::ReauthRequired, says)
            .hint("sign in again, or name the scopes that the key needs"));
    }
    Ok(())
}
