//! Calls that nobody will record: their process died, or gave up.

use tracing::warn;

use omoi_domain::crash::CrashPoint;
use omoi_llm::pricing::TokenCounts;
use omoi_store::open_calls::OpenCall;
use omoi_store::{StoreError, Tx, costs, open_calls};

use super::{CallCost, CallLedger};

/// Charges an open call that no process follows with what it may have cost: the provider may have billed
/// it, and nobody knows how much. Settled once, whoever comes first.
pub(crate) async fn settle_left_call(
    ledger: &CallLedger,
    call: &OpenCall,
) -> Result<(), StoreError> {
    // The lock of the data folder says who lives, and this process has it.
    let is_followed = call.owner == ledger.owner && ledger.calls.contains(call.id);
    if is_followed {
        return Ok(());
    }
    let estimate = CallCost {
        model: call.model.clone(),
        simulated: call.simulated,
        tokens: TokenCounts {
            input: unsigned(call.input_tokens),
            output: unsigned(call.output_tokens),
            ..TokenCounts::default()
        },
        cost: call.cost_nanousd,
        latency_ms: 0,
        calls: 1,
        estimated: true,
        unrecorded: true,
        cache_miss: None,
    };
    let charge = async |tx: &mut Tx| -> Result<bool, StoreError> {
        let is_left = open_calls::close(tx, call.id, call.cost_nanousd).await?;
        if is_left {
            let entry = estimate.ledger_entry(tx, call);
            costs::insert(tx, call.project_id, &entry).await?;
        }
        Ok(is_left)
    };
    if !ledger.store.write(CrashPoint::CostRecorded, charge).await? {
        return Ok(());
    }
    warn!(
        call.id = %call.id, cost_nanousd = call.cost_nanousd.as_nanos(),
        "Model call `{}` was left without a record; it is charged with what it may have cost", call.id
    );
    Ok(())
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
