//! Lists the messages that wait for the agent of a sandbox, the oldest first; looking takes none of them.

use axum::Json;

use omoi_protocol::api::{ListPage, WaitingMessage};
use omoi_store::messages;

use super::SandboxPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Lists the messages that wait for the agent of a sandbox, the oldest first; looking takes none of them.
#[utoipa::path(
    get, path = "/sandboxes/{sandbox_id}/messages", tag = "sandboxes", params(SandboxPath),
    responses((status = 200, description = "The messages.", body = ListPage<WaitingMessage>))
)]
pub(super) async fn list_sandbox_messages(
    caller: Allowed<needs::SandboxRead>,
    ApiPath(path): ApiPath<SandboxPath>,
) -> Answer<ListPage<WaitingMessage>> {
    let read = caller.own_rows().read(async |tx| {
        let task = path.find_task(tx).await?;
        messages::open(tx, task.id).await
    });
    let items = read.await?.into_iter().map(|message| WaitingMessage {
        id: message.id,
        message_type: message.message_type,
        content: message.content,
        sender: message.sender,
        created_at: message.created_at.into(),
    });
    Ok(Json(ListPage::whole_list(items.collect())))
}
