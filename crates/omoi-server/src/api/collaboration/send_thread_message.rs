//! Says something in a thread.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::thread::Participant;
use omoi_execution::commands;
use omoi_execution::threads::ThreadSpeech;
use omoi_protocol::api::{SendThreadMessage, ThreadMessageView};
use omoi_store::threads;

use super::views::message_view;
use crate::api::body::ApiBody;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Where the thread of a message is.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectOfThread {
    /// The project of the thread, for keys of one project.
    project_id: Option<ProjectId>,
}

/// Says something in a thread; whoever does comes to take part in it. An agent reads it quoted, before its next turn, and
/// answers if that helps its task: what is said in a thread is no order. For orders there is
/// `POST /tasks/{task_id}/messages`.
///
/// The same words of the same sender within 10 minutes are one message.
#[utoipa::path(
    post, path = "/collaboration/messages", tag = "collaboration", params(ProjectOfThread),
    request_body = SendThreadMessage,
    responses((status = 201, description = "The message.", body = ThreadMessageView))
)]
pub(super) async fn send_thread_message(
    caller: Allowed<needs::AgentMessage>,
    ApiQuery(of): ApiQuery<ProjectOfThread>,
    ApiBody(body): ApiBody<SendThreadMessage>,
) -> Result<(StatusCode, Json<ThreadMessageView>), ApiError> {
    let only = caller.only_project().or(of.project_id);
    let speech = ThreadSpeech {
        recipient: recipient_of_body(&caller, &body).await?,
        message_type: body.message_type,
        content: body.content,
    };
    let rows = caller.own_rows();
    let message = commands::send_thread_message(rows, (body.thread_id, only), &speech).await?;
    let view = rows.read(async |tx| message_view(tx, message).await);
    Ok((StatusCode::CREATED, Json(view.await?)))
}

/// Whom alone a message is for.
async fn recipient_of_body(
    caller: &ApiCaller,
    body: &SendThreadMessage,
) -> Result<Option<Participant>, ApiError> {
    match (&body.to_agent, body.to_user) {
        (Some(_), Some(_)) => {
            let says = "a message is for one, or for everybody who takes part";
            Err(ApiError::invalid_value(says).with_field("/to_user"))
        }
        (Some(text), None) => {
            let id = body.thread_id;
            let thread = caller
                .own_rows()
                .read(async |tx| threads::get(tx, id).await);
            let project = thread.await?.project_id;
            let task = caller.task_of_body(text, project).await?;
            Ok(Some(Participant::Agent(task)))
        }
        (None, user) => Ok(user.map(Participant::User)),
    }
}
