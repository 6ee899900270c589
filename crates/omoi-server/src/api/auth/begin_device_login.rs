//! `POST /auth/device`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::device_login;
use omoi_domain::access::device_login::ASK_EVERY;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_protocol::api::{DeviceLoginRequest, DeviceLoginView};

use crate::api::body::ApiBody;
use crate::api::caller::Anyone;
use crate::api::{Answer, Surface};

/// Lets a machine wait until somebody who signed in says, on a page of this server, that it may act as them.
///
/// The person compares the code of the machine with that of the page. Nobody says anything for ten minutes: the machine
/// begins anew.
#[utoipa::path(
    post, path = "/auth/device", tag = "auth", request_body = DeviceLoginRequest,
    responses((status = 200, description = "The machine waits.", body = DeviceLoginView))
)]
pub(super) async fn begin_device_login(
    _: Anyone,
    State(s): Surface,
    headers: HeaderMap,
    ApiBody(body): ApiBody<DeviceLoginRequest>,
) -> Answer<DeviceLoginView> {
    let begun = device_login::begin_device_login(&s.accounts, &body.machine).await;
    let begun = begun.map_err(|error| s.refuse_account(error))?;
    // Of a process without an address of its own the machine knows where it asked.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let asked = format!("http://{}", host.unwrap_or("127.0.0.1"));
    let address = s.site.first_address().unwrap_or(&asked);
    Ok(Json(DeviceLoginView {
        device_code: begun.device_code.expose_secret().to_owned(),
        verification_url: format!("{address}/device#{}", begun.user_code),
        user_code: begun.user_code.to_string(),
        interval: ASK_EVERY.as_secs(),
        expires_in: TokenPurpose::LoginCode.token_lifetime().as_secs(),
    }))
}
