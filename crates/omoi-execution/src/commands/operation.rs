//! Work that requests ask for and do not wait for: begun, and ended by whoever did it.

use tracing::{debug, info};

use omoi_domain::crash::CrashPoint;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{OperationId, ProjectId};
use omoi_domain::operation::OperationKind;
use omoi_store::operations::{self, Operation, OperationEnding};
use omoi_store::{StoreError, Tenant, Tx};

/// Begins an operation on `project`, as the row that the caller's request makes.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin_operation(
    tenant: &Tenant,
    project: ProjectId,
    kind: OperationKind,
) -> Result<Operation, StoreError> {
    let begin = async |tx: &mut Tx| -> Result<Operation, StoreError> {
        let operation = operations::begin(tx, project, kind).await?;
        tx.note_made(operation.id.as_uuid());
        Ok(operation)
    };
    let begun = tenant.write(CrashPoint::OperationMoved, begin).await;
    begun.inspect(|begun| debug!(operation.id = %begun.id, kind = %kind, "Began an operation"))
}

/// Notes how an operation ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_operation(
    tenant: &Tenant,
    id: OperationId,
    ending: OperationEnding,
) -> Result<(), StoreError> {
    let end = async |tx: &mut Tx| {
        let mut operation = operations::get(tx, id).await?;
        operations::end(tx, &mut operation, ending).await
    };
    tenant.write(CrashPoint::OperationMoved, end).await
}

/// Notes that somebody still works on an operation.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew_operation(tenant: &Tenant, id: OperationId) -> Result<(), StoreError> {
    let renew = async |tx: &mut Tx| operations::renew(tx, id).await;
    tenant.write(CrashPoint::OperationMoved, renew).await
}

/// Ends an operation that nobody works on any more: whoever did gave no sign of life for [`operations::OPERATION_LEASE`].
///
/// # Errors
/// When the database cannot be written.
pub async fn end_left_operation(tenant: &Tenant, id: OperationId) -> Result<(), StoreError> {
    let end = async |tx: &mut Tx| -> Result<bool, StoreError> {
        let mut operation = operations::get(tx, id).await?;
        if operation.lease_until > tx.now() {
            return Ok(false);
        }
        let ending = OperationEnding::Failed {
            code: ErrorCode::NotReady,
            message: "the process that worked on it ended".to_owned(),
            hint: Some("ask for it again".to_owned()),
        };
        operations::end(tx, &mut operation, ending).await?;
        Ok(true)
    };
    if tenant.write(CrashPoint::OperationMoved, end).await? {
        info!(operation.id = %id, "Ended operation `{id}` of a process that is gone");
    }
    Ok(())
}
