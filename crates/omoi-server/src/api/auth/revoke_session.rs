//! `DELETE /auth/sessions/{session_id}`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::sign_out as accounts;
use omoi_domain::id::SignInSessionId;
use omoi_protocol::api::EXAMPLE_SESSION;
use omoi_store::StoreError;

use super::expect_person;
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Which session.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SessionPath {
    /// Row id of the session.
    #[param(example = json!(EXAMPLE_SESSION))]
    session_id: SignInSessionId,
}

/// Ends one session of whoever asks.
#[utoipa::path(
    delete, path = "/auth/sessions/{session_id}", tag = "auth", params(SessionPath),
    responses((status = 204, description = "The session is over."))
)]
pub(super) async fn revoke_session(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiPath(path): ApiPath<SessionPath>,
) -> Result<StatusCode, ApiError> {
    let user = expect_person(&caller)?;
    let ended = accounts::revoke_session(&caller.accounts_of(&s), user, path.session_id).await;
    match ended.map_err(|error| s.refuse_account(error))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::from(StoreError::NotFound {
            what: "session",
            key: path.session_id.to_string(),
        })),
    }
}
