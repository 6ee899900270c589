//! Work that requests ask for and do not wait for.

use std::time::Duration;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::event::{Event, OperationChange};
use omoi_domain::id::{OperationId, OrgId, ProjectId};
use omoi_domain::operation::{OperationKind, OperationStatus};
use omoi_domain::time::Timestamp;
use serde_json::Value;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tx::Tx;

/// How long an operation counts as worked on without a sign of life.
pub const OPERATION_LEASE: Duration = Duration::from_secs(60);

row! {
    /// Work that a request asked for and did not wait for.
    Operation in "operations" as "operation" {
        /// Its id.
        id: OperationId,
        /// Whose it is.
        org_id: OrgId,
        /// The project that it is about.
        project_id: ProjectId,
        /// What it does.
        kind: OperationKind,
        /// Where it stands.
        status: OperationStatus,
        /// What it gave.
        result: Option<Json<Value>>,
        /// The code of what it failed of.
        error_code: Option<ErrorCode>,
        /// What it failed of.
        error_message: Option<String>,
        /// What to do about that.
        error_hint: Option<String>,
        /// When it was begun.
        created_at: Timestamp,
        /// Until when it is known that somebody works on it.
        lease_until: Timestamp,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(Operation by id in "operations" {
    status, result, error_code, error_message, error_hint, ended_at,
});

impl Operation {
    fn change(&self) -> OperationChange {
        OperationChange {
            operation_id: self.id,
            kind: self.kind,
            status: self.status,
            error: self.error_message.clone(),
        }
    }
}

/// How an operation ends.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationEnding {
    /// It did what it was asked for, and gave this.
    Done(Value),
    /// It failed.
    Failed {
        /// The code that the API has for it.
        code: ErrorCode,
        /// What happened.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Begins an operation on `project`.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin(
    tx: &mut Tx,
    project: ProjectId,
    kind: OperationKind,
) -> Result<Operation, StoreError> {
    let operation = Operation {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: project,
        kind,
        status: OperationStatus::Running,
        result: None,
        error_code: None,
        error_message: None,
        error_hint: None,
        created_at: tx.now(),
        lease_until: tx.now() + OPERATION_LEASE,
        ended_at: None,
        state_version: 0,
    };
    tx.insert(&operation).await?;
    let started = Event::OperationStarted(operation.change());
    tx.emit(Some(project), None, started);
    Ok(operation)
}

/// The operation with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: OperationId) -> Result<Operation, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Operations that somebody works on, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_running(tx: &mut Tx) -> Result<Vec<Operation>, StoreError> {
    tx.all(
        "status = $2 order by created_at, id",
        args![OperationStatus::Running],
    )
    .await
}

/// Has a running operation count as worked on for as long again as when it began.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew(tx: &mut Tx, id: OperationId) -> Result<(), StoreError> {
    let sql = "update operations set lease_until = $3 where org_id = $1 and id = $2 and status = 'running'";
    let until = tx.now() + OPERATION_LEASE;
    tx.execute(sql, args![id, until]).await?;
    Ok(())
}

/// Ends an operation, and tells of it; one that is over stays as it ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(
    tx: &mut Tx,
    operation: &mut Operation,
    ending: OperationEnding,
) -> Result<(), StoreError> {
    if operation.status != OperationStatus::Running {
        return Ok(());
    }
    operation.ended_at = Some(tx.now());
    match ending {
        OperationEnding::Done(result) => {
            operation.status = OperationStatus::Succeeded;
            operation.result = Some(Json(result));
        }
        OperationEnding::Failed {
            code,
            message,
            hint,
        } => {
            operation.status = OperationStatus::Failed;
            operation.error_code = Some(code);
            operation.error_message = Some(message);
            operation.error_hint = hint;
        }
    }
    tx.update(operation).await?;
    let ended = Event::OperationFinished(operation.change());
    tx.emit(Some(operation.project_id), None, ended);
    Ok(())
}
