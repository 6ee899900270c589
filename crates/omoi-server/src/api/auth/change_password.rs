//! `POST /auth/change-password`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::password::{self, PasswordChange};
use omoi_protocol::api::{PasswordChangeRequest, TokenPair};

use super::{expect_person, token_pair};
use crate::api::body::ApiBody;
use crate::api::caller::AccountCaller;
use crate::api::credential::PeerSource;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Sets a new password, ends every session and begins a new one. Keys stay.
#[utoipa::path(
    post, path = "/auth/change-password", tag = "auth", request_body = PasswordChangeRequest,
    responses((status = 200, description = "Tokens of the new session.", body = TokenPair))
)]
pub(super) async fn change_password(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    PeerSource { source, .. }: PeerSource,
    ApiBody(body): ApiBody<PasswordChangeRequest>,
) -> Answer<TokenPair> {
    let user = expect_person(&caller)?;
    let passwords = PasswordChange {
        old: body.current_password.into(),
        new: body.new_password.into(),
    };
    let changed =
        password::change_password(&caller.accounts_of(&s), user, passwords, &source).await;
    let changed = changed.map_err(|error| s.refuse_account(error))?;
    Ok(Json(token_pair(&changed)))
}
