//! `GET /auth/device/{user_code}`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::commands::device_login;
use omoi_domain::access::device_login::UserCode;
use omoi_protocol::api::WaitingLoginView;

use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which machine.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct UserCodePath {
    /// The code that stands on it.
    #[param(example = "BCDF-GHJK")]
    user_code: String,
}

impl UserCodePath {
    pub(super) fn read_code(&self) -> Result<UserCode, ApiError> {
        let code: Result<UserCode, _> = self.user_code.parse();
        code.map_err(|bad| ApiError::invalid_value(bad.to_string()).with_field("user_code"))
    }
}

/// Shows the machine that waits under a code.
#[utoipa::path(
    get, path = "/auth/device/{user_code}", tag = "auth", params(UserCodePath),
    responses((status = 200, description = "It waits.", body = WaitingLoginView))
)]
pub(super) async fn get_device_login(
    _: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiPath(path): ApiPath<UserCodePath>,
) -> Answer<WaitingLoginView> {
    let code = path.read_code()?;
    let waiting = device_login::find_waiting(&s.accounts, &code).await;
    let waiting = waiting.map_err(|error| s.refuse_link(error))?;
    Ok(Json(WaitingLoginView {
        user_code: code.to_string(),
        machine: waiting.machine,
        expires_at: waiting.expires_at.into(),
    }))
}
