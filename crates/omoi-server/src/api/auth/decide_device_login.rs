//! `POST /auth/device/{user_code}/decision`.

use axum::extract::State;
use axum::http::StatusCode;

use omoi_accounts::commands::device_login;
use omoi_protocol::api::DeviceDecision;

use super::expect_person;
use super::get_device_login::UserCodePath;
use crate::api::Surface;
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::{AccountCaller, expect_recent_sign_in, expect_verified};
use crate::api::policy::needs;
use crate::error::ApiError;

/// Says yes or no to the machine that waits under a code. With a yes it gets a key that may do all that whoever asks may
/// do today.
#[utoipa::path(
    post, path = "/auth/device/{user_code}/decision", tag = "auth", params(UserCodePath),
    request_body = DeviceDecision,
    responses((status = 204, description = "It is decided."))
)]
pub(super) async fn decide_device_login(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiPath(path): ApiPath<UserCodePath>,
    ApiBody(body): ApiBody<DeviceDecision>,
) -> Result<StatusCode, ApiError> {
    expect_verified(&caller)?;
    if body.approve {
        expect_recent_sign_in(&caller, s.parts.clock.now())?;
    }
    let (user, code) = (expect_person(&caller)?, path.read_code()?);
    let accounts = caller.accounts_of(&s);
    let decided = device_login::decide_device_login(&accounts, user, &code, body.approve).await;
    decided.map_err(|error| s.refuse_link(error))?;
    Ok(StatusCode::NO_CONTENT)
}
