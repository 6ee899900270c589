//! Gives the gate of a ticket's phase what it asks for.

use axum::Json;
use axum::http::StatusCode;

use omoi_execution::commands;
use omoi_protocol::api::{AttachArtifact, PhaseArtifactView};
use omoi_store::phase_artifacts::{GivenArtifact, PhaseArtifact};

use super::{ProjectOfTicket, TicketPath};
use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Gives the gate of a ticket's phase a document, or a share that was measured; of each type the newest counts.
///
/// What the platform sees itself is given by nobody: commits, merges, and how checks ended.
#[utoipa::path(
    post, path = "/tickets/{ticket_id}/artifacts", tag = "phases", request_body = AttachArtifact,
    params(TicketPath, ProjectOfTicket),
    responses((status = 201, description = "The artifact.", body = PhaseArtifactView))
)]
pub(super) async fn attach_artifact(
    caller: Allowed<needs::TicketWrite>,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
    ApiBody(body): ApiBody<AttachArtifact>,
) -> Result<(StatusCode, Json<PhaseArtifactView>), ApiError> {
    let given = match (body.content, body.percent) {
        (Some(text), None) => GivenArtifact::Document(text),
        (None, Some(percent)) => GivenArtifact::Coverage(percent),
        (Some(_), Some(_)) | (None, None) => {
            let says = "an artifact has a text or a share, and not both";
            return Err(ApiError::invalid_value(says).with_field("/content"));
        }
    };
    let id = caller.find_ticket(&path.ticket_id, &of).await?.id;
    let kept = commands::give_artifact(caller.own_rows(), id, body.artifact_type, given).await?;
    Ok((StatusCode::CREATED, Json(artifact_view(kept))))
}

fn artifact_view(row: PhaseArtifact) -> PhaseArtifactView {
    PhaseArtifactView {
        id: row.id,
        ticket_id: row.ticket_id,
        phase_id: row.phase_id,
        artifact_type: row.artifact_type,
        content: row.content,
        percent: row.percent,
        given_by: row.actor.into(),
        given_at: row.created_at.into(),
    }
}
