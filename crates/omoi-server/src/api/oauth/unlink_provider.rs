//! `DELETE /auth/oauth/{provider}/disconnect`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::linked_identity::unlink_identity;
use omoi_store::StoreError;

use super::{ProviderPath, refuse_provider};
use crate::api::Surface;
use crate::api::auth::expect_person;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Has an account at a provider open the account of whoever asks no more.
#[utoipa::path(
    delete, path = "/auth/oauth/{provider}/disconnect", tag = "oauth", params(ProviderPath),
    responses((status = 204, description = "It opens the account no more."))
)]
pub(super) async fn unlink_provider(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderPath>,
) -> Result<StatusCode, ApiError> {
    let user = expect_person(&caller)?;
    let unlinked = unlink_identity(&caller.accounts_of(&s), user, path.provider).await;
    match unlinked.map_err(|error| refuse_provider(&s, error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "linked account",
            key: path.provider.to_string(),
        })),
    }
}
