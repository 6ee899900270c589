//! Writes a task for a ticket.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::ticket::WorkflowMode;
use omoi_execution::commands::{self, TicketWish};
use omoi_planning::commands::{NewTask, NewTaskError, create_task as write_task};
use omoi_protocol::api::{CreateTask, TaskView, TicketView};
use omoi_protocol::worker::ProposedCheck;
use omoi_store::tasks::Task;
use omoi_store::tickets::{Ticket, TicketEdit};

use super::ProjectOfTask;
use super::update_task::DESCRIPTION_CHARS_MAX;
use crate::api::body::{ApiBody, expect_chars};
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::task_view::task_view;
use crate::api::ticket_view::ticket_view;
use crate::api::tickets::expect_begun_by;
use crate::error::ApiError;

/// Writes a task for a ticket.
///
/// It joins the spec that works on the ticket, with its check, and is worked on as soon as it may be. Where the work on the
/// ticket is not begun, that begins instead, as by `spawn-phase-tasks`: the first task is the ticket itself, so the request
/// says nothing of its own of it.
#[utoipa::path(
    post, path = "/tasks", tag = "tasks", params(ProjectOfTask), request_body = CreateTask,
    responses(
        (
            status = 201, description = "The task.", body = TaskView,
            headers(("Location" = String, description = "Where the task is."))
        ),
        (status = 202, description = "The ticket, whose first task comes by itself.", body = TicketView)
    )
)]
pub(super) async fn create_task(
    caller: Allowed<needs::TaskWrite>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
    ApiBody(body): ApiBody<CreateTask>,
) -> Result<Response, ApiError> {
    let project = of.project_id.or_else(|| caller.only_project());
    let asked = AskedReference::of_path(&body.ticket_id, project);
    let ticket = caller
        .own_rows()
        .read(async |tx| find::find_ticket(tx, asked).await);
    let ticket = ticket.await?;
    if ticket.spec_id.is_none() {
        return begin_ticket(&caller, &ticket, &body).await;
    }
    let new = new_task(&caller, &ticket, body).await?;
    let task: Task = write_task(caller.own_rows(), new).await?;
    let view = caller
        .own_rows()
        .read(async |tx| task_view(tx, &task).await);
    let mut response = (StatusCode::CREATED, Json(view.await?)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/tasks/{}", task.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn new_task(
    caller: &ApiCaller,
    ticket: &Ticket,
    body: CreateTask,
) -> Result<NewTask, ApiError> {
    let title = body.title.unwrap_or_default();
    let description = match body.description {
        Some(text) => {
            expect_chars("/description", &text, DESCRIPTION_CHARS_MAX)?;
            text
        }
        None => title.clone(),
    };
    let named = &body.dependencies;
    Ok(NewTask {
        ticket: ticket.id,
        title,
        description,
        task_type: body.task_type,
        priority: body.priority,
        phase: body.phase_id,
        depends_on: caller
            .find_prerequisites(ticket.project_id, named, "/dependencies")
            .await?,
        check: body.check.map(|check| ProposedCheck {
            command: check.command,
            files: check.files,
        }),
    })
}

/// Has the work on a ticket begin, whose first task is the ticket.
async fn begin_ticket(
    caller: &ApiCaller,
    ticket: &Ticket,
    body: &CreateTask,
) -> Result<Response, ApiError> {
    let plain = CreateTask {
        ticket_id: body.ticket_id.clone(),
        title: None,
        description: None,
        dependencies: Vec::new(),
        check: None,
        ..body.clone()
    };
    if *body != plain {
        let says = "the work on the ticket is not begun, and its first task is the ticket itself";
        return Err(ApiError::invalid_value(says)
            .with_field("/ticket_id")
            .hint("change the ticket, or send `ticket_id` alone to have the work begin"));
    }
    expect_begun_by(caller, Some(WorkflowMode::Quick))?;
    let wish = TicketWish {
        edit: TicketEdit {
            workflow_mode: Some(WorkflowMode::Quick),
            ..TicketEdit::default()
        },
        ..TicketWish::default()
    };
    let begun = commands::update_ticket(caller.own_rows(), ticket.id, wish).await?;
    let view = caller
        .own_rows()
        .read(async |tx| ticket_view(tx, begun).await);
    Ok((StatusCode::ACCEPTED, Json(view.await?)).into_response())
}

impl From<NewTaskError> for ApiError {
    fn from(source: NewTaskError) -> Self {
        let says = source.to_string();
        match source {
            NewTaskError::Title(_) => Self::invalid_value(says).with_field("/title"),
            NewTaskError::Check(_) => Self::invalid_value(says).with_field("/check"),
            NewTaskError::PlatformWork => Self::invalid_value(says).with_field("/task_type"),
            NewTaskError::OtherSpec(_) => Self::new(ErrorCode::Refused, says),
            NewTaskError::NotBegun(_) => Self::new(ErrorCode::Conflict, says),
            NewTaskError::Refused(_) => Self::new(ErrorCode::Refused, says).hint(
                "a plan that is not worked on yet takes tasks by `POST /specs/{spec_id}/tasks`",
            ),
            NewTaskError::Store(store) => store.into(),
        }
    }
}
