//! `DELETE /auth/me`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::account_end;
use omoi_accounts::holder::CredentialKind;

use super::expect_person;
use crate::api::Surface;
use crate::api::caller::{AccountCaller, expect_recent_sign_in};
use crate::api::policy::needs;
use crate::error::ApiError;

/// Gives the account of whoever asks up: they leave every organisation, and what tells who they are is erased.
///
/// The only owner of an organisation hands it over first, or puts it away.
#[utoipa::path(
    delete, path = "/auth/me", tag = "auth",
    responses((status = 204, description = "The account is gone."))
)]
pub(super) async fn delete_account(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Result<StatusCode, ApiError> {
    let user = expect_person(&caller)?;
    if caller.credential == CredentialKind::Folder {
        let says = "the user of a data folder has no account to give up";
        return Err(ApiError::forbidden_act(says));
    }
    expect_recent_sign_in(&caller, s.parts.clock.now())?;
    let deleted = account_end::delete_account(&caller.accounts_of(&s), user).await;
    deleted.map_err(|error| s.refuse_account(error))?;
    Ok(StatusCode::NO_CONTENT)
}
