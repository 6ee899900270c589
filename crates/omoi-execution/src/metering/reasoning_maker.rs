//! Keeping with an attempt who made the reasoning in its conversation.

use omoi_domain::crash::CrashPoint;
use omoi_llm::meter::ModelCaller;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{Tenant, Tx, attempts};

/// Keeps `maker` with the attempt that asks, unless another was kept before; gives the one that is. None
/// where it cannot be told.
pub(super) async fn keep_maker(
    store: &Tenant,
    caller: &ModelCaller,
    maker: &str,
) -> Option<String> {
    let id = caller.principal.purpose.attempt()?;
    let keep = async |tx: &mut Tx| attempts::keep_reasoning_maker(tx, id, maker).await;
    // A loss of power that takes it takes every turn that reasons, too.
    match store.write_ahead(CrashPoint::EventsStored, keep).await {
        Ok((kept, _)) => Some(kept),
        Err(error) => {
            tracing::warn!(attempt.id = %id, error = %error_chain(&error), "Could not keep who made an attempt's reasoning");
            None
        }
    }
}
