//! Work that requests ask for and do not wait for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{OperationId, ProjectId};
use omoi_domain::operation::{OperationKind, OperationStatus};

use super::time::ApiTime;

/// An operation that was begun: answer of status 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationBegun {
    /// Row id of the operation.
    pub operation_id: OperationId,
    /// Where it is shown: a path of this API.
    pub status_url: String,
}

/// `GET /operations/{operation_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// Row id of the operation.
    pub id: OperationId,
    /// The project that it is about.
    pub project_id: ProjectId,
    /// What it does.
    pub kind: OperationKind,
    /// Where it stands; its end is also the event `operation.finished`.
    pub status: OperationStatus,
    /// What it gave, once it succeeded: of `set_up_repository` a `SetupView`.
    pub result: Option<Value>,
    /// What it failed of.
    pub error: Option<OperationError>,
    /// When it was begun.
    pub created_at: ApiTime,
    /// When it ended.
    pub ended_at: Option<ApiTime>,
}

/// What an operation failed of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationError {
    /// Stable code, of the registry that refusals have.
    pub error: ErrorCode,
    /// What happened and where, for people.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}
