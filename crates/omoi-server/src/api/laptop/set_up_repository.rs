//! The packages of a repository.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_domain::id::OperationId;
use omoi_domain::operation::OperationKind;
use omoi_execution::commands::begin_operation;
use omoi_planning::setup::prepare_setup;
use omoi_protocol::api::{OperationBegun, SetUpRepository};

use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::operations::begun_answer;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Begins to install the packages of a repository's HEAD, or to look which are there.
#[utoipa::path(
    post, path = "/setup", tag = "laptop", request_body = SetUpRepository,
    responses((status = 202, description = "The operation, whose result is a `SetupView`.", body = OperationBegun))
)]
pub(super) async fn set_up_repository(
    caller: Allowed<needs::ProjectWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<SetUpRepository>,
) -> Result<(StatusCode, Json<OperationBegun>), ApiError> {
    let (rows, repositories) = (caller.own_rows(), s.repositories(&caller)?);
    let begin = async {
        let prepared = prepare_setup(repositories, rows, &s.parts.setup, &body).await?;
        let kind = OperationKind::SetUpRepository;
        let begun = begin_operation(rows, prepared.project_id(), kind).await?;
        s.run_operation(rows, begun.id, async {
            Ok(prepared.install_packages().await?)
        });
        Ok::<_, ApiError>(begun.id)
    };
    let id = match caller.act_once(begin).await? {
        Some(id) => id,
        None => OperationId::from_uuid(caller.expect_made()?),
    };
    Ok((StatusCode::ACCEPTED, Json(begun_answer(id))))
}
