//! `GET /auth/sessions`.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{ListPage, SignInView};
use omoi_store::{Tx, sessions};

use super::expect_person;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the sessions of whoever asks that have not ended, the last used first.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth",
    responses((status = 200, description = "The sessions.", body = ListPage<SignInView>))
)]
pub(super) async fn list_sessions(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
) -> Answer<ListPage<SignInView>> {
    let user = expect_person(&caller)?;
    let system = s.accounts.store.system();
    let live = system
        .read(async |tx: &mut Tx| sessions::list_live(tx, user).await)
        .await?;
    let items = live.into_iter().map(|session| SignInView {
        id: session.id,
        current: caller.session_id() == Some(session.id),
        ip: session.ip,
        user_agent: session.user_agent,
        created_at: session.created_at.into(),
        last_used_at: session.rotated_at.into(),
        expires_at: session.expires_at.min(session.absolute_expires_at).into(),
    });
    let items = items.collect();
    Ok(Json(ListPage::whole_list(items)))
}
