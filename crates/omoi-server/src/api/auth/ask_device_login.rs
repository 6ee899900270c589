//! `POST /auth/device/token`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::device_login::{self, LoginAnswer};
use omoi_protocol::api::{DeviceToken, IssuedApiKey};

use super::api_key_view;
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::credential::PeerSource;
use crate::error::ApiError;

/// Tells a machine that waits whether it was let in. The key that it gets then is told this once.
#[utoipa::path(
    post, path = "/auth/device/token", tag = "auth", request_body = DeviceToken,
    responses(
        (status = 200, description = "The key of the machine.", body = IssuedApiKey),
        (status = 202, description = "Nobody said anything yet.")
    )
)]
pub(super) async fn ask_device_login(
    _: Anyone,
    State(s): Surface,
    PeerSource { origin, .. }: PeerSource,
    ApiBody(body): ApiBody<DeviceToken>,
) -> Result<Response, ApiError> {
    let accounts = s.accounts.for_request(origin);
    let answer = device_login::ask_device_login(&accounts, &body.device_code).await;
    match answer.map_err(|error| s.refuse_link(error))? {
        LoginAnswer::Waits => Ok(StatusCode::ACCEPTED.into_response()),
        LoginAnswer::LetIn(made) => {
            let issued = IssuedApiKey {
                key: made.key.expose_secret().to_owned(),
                api_key: api_key_view(made.row, s.parts.clock.now()),
            };
            Ok(Json(issued).into_response())
        }
    }
}
