//! Shows an operation.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OperationId;
use omoi_protocol::api::{EXAMPLE_OPERATION, OperationError, OperationView};
use omoi_store::operations::{self, Operation};

use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Which operation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OperationPath {
    /// Row id of the operation.
    #[param(example = json!(EXAMPLE_OPERATION))]
    operation_id: OperationId,
}

/// Shows work that a request asked for and did not wait for.
#[utoipa::path(
    get, path = "/operations/{operation_id}", tag = "operations", params(OperationPath),
    responses((status = 200, description = "The operation.", body = OperationView))
)]
pub(super) async fn get_operation(
    caller: Allowed<needs::ProjectRead>,
    ApiPath(path): ApiPath<OperationPath>,
) -> Answer<OperationView> {
    let read = caller.own_rows().read(async |tx| {
        let operation = operations::get(tx, path.operation_id).await?;
        Ok::<_, ApiError>(operation)
    });
    Ok(Json(operation_view(read.await?)))
}

fn operation_view(operation: Operation) -> OperationView {
    let hint = operation.error_hint;
    let error = operation.error_message.map(|message| OperationError {
        error: operation.error_code.unwrap_or(ErrorCode::Internal),
        message,
        hint,
    });
    OperationView {
        id: operation.id,
        project_id: operation.project_id,
        kind: operation.kind,
        status: operation.status,
        result: operation.result.map(|result| result.0),
        error,
        created_at: operation.created_at.into(),
        ended_at: operation.ended_at.map(Into::into),
    }
}
