//! Opens a thread.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use omoi_domain::id::{ProjectId, TaskId, TicketId};
use omoi_domain::thread::PARTICIPANTS_MAX;
use omoi_execution::commands;
use omoi_execution::threads::NewThread;
use omoi_protocol::api::{OpenThread, ThreadView};
use omoi_store::tasks;

use super::views::thread_view;
use crate::api::body::ApiBody;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, project_of_body};
use crate::error::ApiError;

/// Opens a thread with agents and people, of which whoever asks is one. The open thread with the same participants about the
/// same is used again.
#[utoipa::path(
    post, path = "/collaboration/threads", tag = "collaboration", params(ProjectOfTicket),
    request_body = OpenThread,
    responses(
        (status = 201, description = "The thread.", body = ThreadView),
        (status = 200, description = "The thread, which was open already.", body = ThreadView)
    )
)]
pub(super) async fn open_thread(
    caller: Allowed<needs::AgentMessage>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<OpenThread>,
) -> Result<Response, ApiError> {
    let named = match body.project_id.or(of.project_id) {
        Some(_) => body.project_id,
        None => project_of_agents(&caller, &body.agents).await?,
    };
    let project = project_of_body(&caller, &of, named).await?;
    let new = thread_of_body(&caller, project, body).await?;
    let (thread, is_new) = commands::open_thread(caller.own_rows(), new).await?;
    let view = caller
        .own_rows()
        .read(async |tx| thread_view(tx, thread).await);
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(view.await?)).into_response())
}

/// The project of the first task that is named by its row id.
async fn project_of_agents(
    caller: &ApiCaller,
    agents: &[String],
) -> Result<Option<ProjectId>, ApiError> {
    let Some(id) = agents.iter().find_map(|text| text.parse::<TaskId>().ok()) else {
        return Ok(None);
    };
    let task = caller.own_rows().read(async |tx| tasks::get(tx, id).await);
    Ok(Some(task.await?.project_id))
}

/// What a body asks for, with its references looked up.
async fn thread_of_body(
    caller: &ApiCaller,
    project: ProjectId,
    body: OpenThread,
) -> Result<NewThread, ApiError> {
    if body.agents.len() > PARTICIPANTS_MAX || body.users.len() > PARTICIPANTS_MAX {
        let says = format!("a thread has at most {PARTICIPANTS_MAX} participants");
        return Err(ApiError::invalid_value(says).with_field("/agents"));
    }
    let mut agents = BTreeSet::new();
    for text in &body.agents {
        agents.insert(caller.task_of_body(text, project).await?);
    }
    let task = match &body.task_id {
        Some(text) => Some(caller.task_of_body(text, project).await?),
        None => None,
    };
    Ok(NewThread {
        project,
        thread_type: body.thread_type,
        ticket: ticket_of_body(caller, body.ticket_id.as_deref(), project).await?,
        task,
        users: body.users.into_iter().collect(),
        agents,
    })
}

async fn ticket_of_body(
    caller: &ApiCaller,
    named: Option<&str>,
    project: ProjectId,
) -> Result<Option<TicketId>, ApiError> {
    let Some(text) = named else {
        return Ok(None);
    };
    let project = text.parse::<TicketId>().is_err().then_some(project);
    let asked = AskedReference::of_path(text, project);
    let found = caller
        .own_rows()
        .read(async |tx| find::find_ticket(tx, asked).await);
    Ok(Some(found.await?.id))
}
