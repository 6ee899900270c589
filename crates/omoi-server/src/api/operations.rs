//! Work that requests ask for and do not wait for.

mod get_operation;

use std::time::Duration;

use omoi_domain::id::OperationId;
use omoi_execution::commands::{end_operation, renew_operation};
use omoi_protocol::api::OperationBegun;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_store::Tenant;
use omoi_store::operations::{OPERATION_LEASE, OperationEnding};
use serde::Serialize;

use super::router::{ApiRouter, operation};
use super::{ApiSurface, BASE};
use crate::error::ApiError;

/// How often it is noted that somebody works on an operation.
const RENEWAL: Duration = Duration::from_secs(OPERATION_LEASE.as_secs() / 3);

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new().add(operation!(get_operation::get_operation, NotFound))
}

/// The answer to a request whose work goes on.
pub(super) fn begun_answer(id: OperationId) -> OperationBegun {
    OperationBegun {
        operation_id: id,
        status_url: format!("{BASE}/operations/{id}"),
    }
}

impl ApiSurface {
    /// Has `work` done beside the request that began the operation, and its end noted in `rows`.
    pub(super) fn run_operation<T: Serialize + Send>(
        &self,
        rows: &Tenant,
        id: OperationId,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) {
        // What is written at its end is no part of the request any more.
        let (rows, clock) = (rows.before_request(), self.parts.clock.clone());
        let lifecycle = &self.parts.lifecycle;
        lifecycle.spawn("operation", SpawnKind::Work, async move {
            let mut work = Box::pin(work);
            // Both are cancel-safe: the work is only looked at, and a sleep that is dropped did nothing.
            let done = loop {
                tokio::select! {
                    done = &mut work => break done,
                    () = clock.sleep(RENEWAL) => renew_operation(&rows, id).await?,
                }
            };
            let ending = match done {
                Ok(result) => OperationEnding::Done(serde_json::to_value(result)?),
                Err(refused) => refused.into_ending(),
            };
            end_operation(&rows, id, ending).await?;
            Ok::<_, BoxError>(())
        });
    }
}
