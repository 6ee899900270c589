//! `GET /auth/oauth/connected`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::linked_identity::list_identities;
use omoi_protocol::api::{LinkedProviderView, ListPage};

use crate::api::auth::expect_person;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the accounts at providers that open the account of whoever asks.
#[utoipa::path(
    get, path = "/auth/oauth/connected", tag = "oauth",
    responses((status = 200, description = "The accounts.", body = ListPage<LinkedProviderView>))
)]
pub(super) async fn list_linked_providers(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
) -> Answer<ListPage<LinkedProviderView>> {
    let all = list_identities(&s.accounts, expect_person(&caller)?).await?;
    let items = all.into_iter().map(|identity| LinkedProviderView {
        provider: identity.provider,
        username: identity.username,
        linked_at: identity.created_at.into(),
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
