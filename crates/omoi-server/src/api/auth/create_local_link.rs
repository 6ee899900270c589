//! `POST /auth/local-link`.

use axum::extract::State;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;

use omoi_accounts::commands::local_link::make_local_link;
use omoi_accounts::holder::CredentialKind;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::LocalLinkView;

use crate::api::Surface;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::request_key::ShownOnce;
use crate::error::ApiError;
use crate::options::ServerMode;

/// Makes a link that signs in a browser of this machine, good once within ten minutes; earlier ones are void.
///
/// Only the token of the data folder makes one, where no team is served.
#[utoipa::path(
    post, path = "/auth/local-link", tag = "auth",
    responses((status = 200, description = "The link.", body = LocalLinkView))
)]
pub(super) async fn create_local_link(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Result<(Extension<ShownOnce>, Json<LocalLinkView>), ApiError> {
    let is_owner = matches!(caller.credential, CredentialKind::Folder);
    if !is_owner || s.site.server_mode() != ServerMode::Local {
        let says = "a link to sign in is made by the token of a laptop's data folder alone";
        return Err(ApiError::forbidden_act(says));
    }
    let address = s.site.first_address().ok_or_else(|| {
        let says = "this process answers at no address that a browser could open";
        ApiError::new(ErrorCode::NotReady, says).hint("start one that does: omoi up")
    })?;
    let made = make_local_link(&caller.accounts_of(&s)).await;
    let code = made.map_err(|error| s.refuse_account(error))?;
    let view = LocalLinkView {
        url: format!("{address}/open#{}", code.expose_secret()),
        expires_in: TokenPurpose::LocalLink.token_lifetime().as_secs(),
    };
    Ok((Extension(ShownOnce), Json(view)))
}
