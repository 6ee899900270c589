//! Writes a ticket.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use omoi_domain::access::permission::Permission;
use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::ticket::WorkflowMode;
use omoi_domain::workflow::PhaseId;
use omoi_execution::commands::{self, NewTicket};
use omoi_execution::options::approval::ticket_review;
use omoi_protocol::api::{CreateTicket, TicketView};

use super::{ProjectOfTicket, answered};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::{Allowed, ApiCaller};
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Tickets that a new one may wait for.
const DEPENDENCIES_MAX: usize = 50;

/// Writes a ticket, which waits in its phase until somebody moves it.
///
/// With a `workflow_mode` its work is begun by itself, once it may be: on a branch of its own, which is handed over when the
/// commands given with it pass. Where that cannot be, it is held up with the reason.
///
/// One that a program writes waits for a person's yes first, where `approval.ticket_human_review` is set.
/// An open ticket that says the same is answered with its reference, unless `force_create` is set.
#[utoipa::path(
    post, path = "/tickets", tag = "tickets", params(ProjectOfTicket), request_body = CreateTicket,
    responses((
        status = 201, description = "The ticket.", body = TicketView,
        headers(
            ("ETag" = String, description = "Version of the row."),
            ("Location" = String, description = "Where the ticket is.")
        )
    ))
)]
pub(super) async fn create_ticket(
    caller: Allowed<needs::TicketWrite>,
    State(s): Surface,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<CreateTicket>,
) -> Result<Response, ApiError> {
    let project = project_of_body(&caller, &of, body.project_id).await?;
    let phase = body.phase_id.unwrap_or(PhaseId::Backlog);
    if phase != PhaseId::Backlog {
        caller.expect_also(Permission::TicketForce)?;
    }
    expect_begun_by(&caller, body.workflow_mode)?;
    let new = NewTicket {
        project,
        depends_on: tickets_of_body(&caller, project, &body.dependencies).await?,
        title: body.title,
        description: body.description,
        priority: body.priority,
        labels: body.labels,
        assignee: body.assignee_id,
        phase,
        mode: body.workflow_mode,
        check_commands: body.check_commands,
        takes_duplicate: body.force_create || !body.check_duplicates,
        review: ticket_review(&s.config),
    };
    let ticket = commands::create_ticket(caller.own_rows(), new).await?;
    let location = HeaderValue::try_from(format!("/api/v1/tickets/{}", ticket.id));
    let answer = answered(&caller, ticket).await?;
    let mut response = (StatusCode::CREATED, answer).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Refuses whoever has work begun by itself and may not begin work; a plan that nobody looks at is theirs to approve.
pub(in crate::api) fn expect_begun_by(
    caller: &ApiCaller,
    mode: Option<WorkflowMode>,
) -> Result<(), ApiError> {
    if mode.is_some() {
        caller.expect_also(Permission::SpecExecute)?;
    }
    match mode {
        Some(WorkflowMode::SpecDriven) => caller.expect_also(Permission::SpecApprove),
        Some(WorkflowMode::Quick | WorkflowMode::Phased) | None => Ok(()),
    }
}

/// The project that a body names, or the query, or the only one there is.
pub(in crate::api) async fn project_of_body(
    caller: &ApiCaller,
    of: &ProjectOfTicket,
    named: Option<ProjectId>,
) -> Result<ProjectId, ApiError> {
    // The place of the request, for which the caller's rights hold, is that of the query.
    let asked = of.project_id.or(named);
    let is_other = named.is_some_and(|named| asked != Some(named));
    if is_other
        || caller
            .only_project()
            .is_some_and(|only| asked != Some(only))
    {
        let says = "the body names another project than the request is about";
        return Err(ApiError::invalid_value(says).with_field("/project_id"));
    }
    let found = caller
        .own_rows()
        .read(async |tx| find::find_project(tx, asked).await);
    found.await
}

async fn tickets_of_body(
    caller: &ApiCaller,
    project: ProjectId,
    named: &[String],
) -> Result<Vec<TicketId>, ApiError> {
    if named.len() > DEPENDENCIES_MAX {
        let says = format!("a new ticket waits for at most {DEPENDENCIES_MAX} others");
        return Err(ApiError::invalid_value(says).with_field("/dependencies"));
    }
    let found = caller.own_rows().read(async |tx| {
        let mut found = Vec::with_capacity(named.len());
        for text in named {
            let asked = AskedReference::of_path(text, Some(project));
            found.push(find::find_ticket(tx, asked).await?.id);
        }
        Ok::<_, ApiError>(found)
    });
    found.await
}
