//! `POST /auth/ws-ticket`.

use axum::extract::State;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::live_ticket::make_live_ticket;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_protocol::api::LiveTicketView;

use crate::api::Surface;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::request_key::ShownOnce;
use crate::error::ApiError;

/// Makes a ticket that opens one stream of live events, within a minute: a browser sends no header with a WebSocket.
#[utoipa::path(
    post, path = "/auth/ws-ticket", tag = "auth",
    responses((status = 200, description = "The ticket.", body = LiveTicketView))
)]
pub(super) async fn create_live_ticket(
    caller: AccountCaller<needs::Credential>,
    State(s): Surface,
) -> Result<(Extension<ShownOnce>, Json<LiveTicketView>), ApiError> {
    let made = make_live_ticket(&caller.accounts_of(&s), &caller).await;
    let ticket = made.map_err(|error| s.refuse_account(error))?;
    let view = LiveTicketView {
        ticket: ticket.expose_secret().to_owned(),
        expires_in: TokenPurpose::LiveTicket.token_lifetime().as_secs(),
    };
    Ok((Extension(ShownOnce), Json(view)))
}
