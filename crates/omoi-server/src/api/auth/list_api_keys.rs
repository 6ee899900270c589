//! `GET /auth/api-keys`.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{ApiKeyView, ListPage};
use omoi_store::{StoreError, Tx, api_keys};

use super::{api_key_view, expect_person};
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the keys of whoever asks that are not revoked, the newest first.
#[utoipa::path(
    get, path = "/auth/api-keys", tag = "auth",
    responses((status = 200, description = "The keys.", body = ListPage<ApiKeyView>))
)]
pub(super) async fn list_api_keys(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Answer<ListPage<ApiKeyView>> {
    let user = expect_person(&caller)?;
    let list = async |tx: &mut Tx| {
        Ok::<_, StoreError>((api_keys::list_of_user(tx, user).await?, tx.now()))
    };
    let (keys, now) = s.accounts.store.system().read(list).await?;
    let items = keys.into_iter().map(|key| api_key_view(key, now));
    let items = items.collect();
    Ok(Json(ListPage::whole_list(items)))
}
