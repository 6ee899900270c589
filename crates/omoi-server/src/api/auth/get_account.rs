//! `GET /auth/me`.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::AccountView;
use omoi_store::{Tx, users};

use super::{account_view, expect_person};
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Shows the account of whoever asks, and what this credential may do in each organisation.
#[utoipa::path(
    get, path = "/auth/me", tag = "auth",
    responses((status = 200, description = "The account.", body = AccountView))
)]
pub(super) async fn get_account(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
) -> Answer<AccountView> {
    let id = expect_person(&caller)?;
    let system = s.accounts.store.system();
    let user = system
        .read(async |tx: &mut Tx| users::get(tx, id).await)
        .await?;
    Ok(Json(account_view(user, &caller)))
}
