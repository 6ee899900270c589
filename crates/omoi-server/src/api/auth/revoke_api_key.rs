//! `DELETE /auth/api-keys/{key_id}`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::key::revoke_person_key;
use omoi_accounts::holder::CredentialKind;
use omoi_domain::id::ApiKeyId;
use omoi_protocol::api::EXAMPLE_KEY;
use omoi_store::StoreError;

use super::expect_person;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Which key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct KeyPath {
    /// Row id of the key.
    #[param(example = json!(EXAMPLE_KEY))]
    key_id: ApiKeyId,
}

/// Revokes a key of whoever asks. A key revokes itself and no other.
#[utoipa::path(
    delete, path = "/auth/api-keys/{key_id}", tag = "auth", params(KeyPath),
    responses((status = 204, description = "The key opens nothing any more."))
)]
pub(super) async fn revoke_api_key(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
    ApiPath(path): ApiPath<KeyPath>,
) -> Result<StatusCode, ApiError> {
    let user = expect_person(&caller)?;
    if let CredentialKind::Key(own) = caller.credential
        && own != path.key_id
    {
        let says = "a key revokes itself and no other; sign in to revoke this one";
        return Err(ApiError::forbidden_act(says));
    }
    let revoked = revoke_person_key(&caller.accounts_of(&s), user, path.key_id).await;
    match revoked.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "key",
            key: path.key_id.to_string(),
        })),
    }
}
