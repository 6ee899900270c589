//! Finds rows by what people type: `SPEC-1`, `TSK-003`, or a row id.

use omoi_domain::id::{HumanRef, RefKind, SpecId, TaskId};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx};

use crate::error::ApiError;

/// The spec people mean; a number counts per project, and the newest wins.
pub(super) async fn spec(tx: &mut Tx, text: &str) -> Result<Spec, ApiError> {
    if let Ok(id) = text.parse::<SpecId>() {
        return Ok(specs::get(tx, id).await?);
    }
    let found = match text.parse::<HumanRef>() {
        Ok(HumanRef {
            kind: RefKind::Spec,
            number,
        }) => specs::numbered(tx, number).await?,
        _ => {
            return Err(ApiError::bad_request(format!(
                "`{text}` is not a spec such as SPEC-1"
            )));
        }
    };
    found.into_iter().next().ok_or_else(|| {
        let missing = StoreError::NotFound {
            what: "spec",
            key: text.to_owned(),
        };
        ApiError::from(missing).hint("omoi spec list shows what there is")
    })
}

/// The task people mean; a number counts per project, and the newest wins.
pub(super) async fn task(tx: &mut Tx, text: &str) -> Result<Task, ApiError> {
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(tasks::get(tx, id).await?);
    }
    let found = match text.parse::<HumanRef>() {
        Ok(HumanRef {
            kind: RefKind::Task,
            number,
        }) => tasks::numbered(tx, number).await?,
        _ => {
            return Err(ApiError::bad_request(format!(
                "`{text}` is not a task such as TSK-003"
            )));
        }
    };
    found.into_iter().next().ok_or_else(|| {
        let missing = StoreError::NotFound {
            what: "task",
            key: text.to_owned(),
        };
        ApiError::from(missing).hint("omoi task list shows what there is")
    })
}
