//! `GET /auth/waitlist`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::waitlist::list_waiting;
use omoi_protocol::api::{ListPage, WaitingAccountView};

use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the accounts that wait to be let in, those that wait longest first; 500 at most.
#[utoipa::path(
    get, path = "/auth/waitlist", tag = "auth",
    responses((status = 200, description = "The accounts.", body = ListPage<WaitingAccountView>))
)]
pub(super) async fn list_waitlist(
    _: AccountCaller<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<ListPage<WaitingAccountView>> {
    let waiting = list_waiting(&s.accounts).await?;
    let items = waiting.into_iter().map(|user| WaitingAccountView {
        id: user.id,
        is_verified: user.is_verified(),
        waiting_since: user.waiting_since_at.map(Into::into),
        full_name: user.name,
        email: user.email,
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
