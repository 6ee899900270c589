//! Lists what was said in a thread.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_protocol::api::{ListPage, ThreadMessageView};
use omoi_store::thread_messages::{self, ThreadMessageFilter};
use omoi_store::threads;

use super::ThreadPath;
use super::views::message_views;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, PagedParams};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ThreadMessageQuery {
    /// Whether those alone are listed that are for the caller and that they have yet to read.
    #[serde(default)]
    unread: bool,
}

/// Lists what was said in a thread, oldest first; looking marks nothing as read.
#[utoipa::path(
    get, path = "/collaboration/threads/{thread_id}/messages", tag = "collaboration",
    params(ThreadPath, ThreadMessageQuery, PagedParams),
    responses((status = 200, description = "A page of messages.", body = ListPage<ThreadMessageView>))
)]
pub(super) async fn list_thread_messages(
    caller: Allowed<needs::AgentRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<ThreadPath>,
    list: ApiList<ThreadMessageQuery>,
) -> Answer<ListPage<ThreadMessageView>> {
    let asked = list.asked_page(&s, &caller, "created_at")?;
    let filter = ThreadMessageFilter {
        unread_by: match list.filter.unread {
            true => caller.as_participant(),
            false => None,
        },
        window: list.created_window()?,
    };
    let page = caller.own_rows().read(async |tx| {
        let thread = threads::get(tx, path.thread_id).await?;
        let mut page = thread_messages::list_page(tx, thread.id, &filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = message_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
