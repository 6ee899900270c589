//! Budgets before, and the cost ledger after, every model call.
//!
//! The ledger is rows, so that every process and every purpose counts against the same budgets: a call
//! is a row of `open_calls` while it is under way and one of `cost_entries` afterwards.

mod attempt_caller;
mod cache_use;
mod call_budgets;
mod call_failure;
mod call_fallback;
mod call_ledger;
mod held_calls;
mod reasoning_maker;
mod saved_attempt;
mod settle;
mod stored_quota;

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::Principal;
use omoi_domain::work_limits::WorkLimits;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::{
    CallMeter, CallUsage, CostProjection, FallbackNote, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::pricing::TokenCounts;
use omoi_runtime::telemetry::error_chain;
use omoi_store::costs::{self, CostEntry};
use omoi_store::open_calls::{self, OpenCall};
use omoi_store::{CommitSync, StoreError, Tenant, Tx};
use tokio::sync::Mutex;
use tracing::{debug, warn};

pub use self::attempt_caller::model_caller;
use self::call_budgets::{expect_room, refuse_month};
pub use self::call_ledger::CallLedger;
use self::held_calls::HeldCall;
pub use self::held_calls::HeldCalls;
pub(crate) use self::settle::settle_left_call;
pub use self::stored_quota::StoredQuota;

/// What a call did cost, or may have.
struct CallCost {
    model: String,
    simulated: bool,
    tokens: TokenCounts,
    cost: NanoUsd,
    latency_ms: u64,
    calls: u32,
    estimated: bool,
    unrecorded: bool,
    cache_miss: Option<String>,
}

impl CallCost {
    fn ledger_entry(&self, tx: &Tx, call: &OpenCall) -> CostEntry {
        CostEntry {
            id: call.id,
            org_id: tx.org(),
            spec_id: call.spec_id,
            purpose: call.purpose,
            attempt_id: call.attempt_id,
            role: call.role,
            route: call.route,
            model: self.model.clone(),
            simulated: self.simulated,
            input_tokens: to_signed(self.tokens.input),
            output_tokens: to_signed(self.tokens.output),
            cache_read_tokens: to_signed(self.tokens.cache_read),
            cache_write_tokens: to_signed(self.tokens.cache_write),
            cache_write_1h_tokens: to_signed(self.tokens.cache_write_1h),
            cost_nanousd: self.cost,
            latency_ms: to_signed(self.latency_ms),
            calls: i64::from(self.calls),
            estimated: self.estimated,
            unrecorded: self.unrecorded,
            cache_miss: self.cache_miss.clone(),
            created_at: tx.now(),
        }
    }
}

fn to_signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A call the ledger granted.
struct LedgerCall {
    store: Tenant,
    limits: WorkLimits,
    principal: Principal,
    row: OpenCall,
    /// The row's way onto the disk.
    sync: Mutex<CommitSync>,
    _held: HeldCall,
}

/// One ledger for all that a process asks.
impl CallMeter for CallLedger {
    fn reserve_call<'a>(
        &'a self,
        caller: &'a ModelCaller,
        projection: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async move {
            let ledger = self.in_organisation(caller.principal.org);
            match grant_call(&ledger, caller, projection).await {
                Ok(call) => Ok(Box::new(call) as Box<dyn ReservedCall>),
                Err(error) => Err(reserve_error(caller.principal, error)),
            }
        })
    }

    fn report_failure<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let store = self.in_organisation(caller.principal.org).store;
            if let Err(error) = call_failure::tell_call_failure(&store, caller, failed).await {
                let spec = caller.principal.spec;
                warn!(spec.id = %spec, error = %error_chain(&error), "Could not tell of a failed model call");
            }
        })
    }

    fn report_fallback<'a>(
        &'a self,
        caller: &'a ModelCaller,
        note: &'a FallbackNote,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let store = self.in_organisation(caller.principal.org).store;
            if let Err(error) = call_fallback::tell_fallback(&store, caller, note).await {
                let spec = caller.principal.spec;
                warn!(spec.id = %spec, error = %error_chain(&error), "Could not tell of a model that was passed over");
            }
        })
    }

    fn keep_maker<'a>(
        &'a self,
        caller: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let store = self.in_organisation(caller.principal.org).store;
            reasoning_maker::keep_maker(&store, caller, maker).await
        })
    }

    fn save_attempt<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(id) = caller.principal.purpose.attempt() else {
                return false;
            };
            let ledger = self.in_organisation(caller.principal.org);
            let saved = saved_attempt::save_attempt(&ledger, id, caller.n_turns, failed).await;
            // It then fails as its worker tells, and is tried again from there.
            if let Err(error) = &saved {
                warn!(attempt.id = %id, error = %error_chain(error), "Could not save an attempt that its provider turns away");
            }
            saved.is_ok()
        })
    }
}

/// Why a call is not granted, as the gateway wants to know it.
fn reserve_error(principal: Principal, error: GrantError) -> ReserveError {
    let spec = principal.spec;
    match error {
        GrantError::OverBudget(reason) => {
            debug!(spec.id = %spec, reason, "A budget has no room for a model call");
            ReserveError::Refused { reason }
        }
        GrantError::MonthSpent => ReserveError::Refused {
            reason: error.to_string(),
        },
        GrantError::Superseded => {
            debug!(spec.id = %spec, "An attempt that is over asks a model");
            ReserveError::Superseded
        }
        GrantError::Store(error) => ReserveError::Unavailable(Box::new(error)),
    }
}

impl ReservedCall for LedgerCall {
    fn raise_cost(&self, cost: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>> {
        Box::pin(async move {
            let raised = raise_call(self, cost).await;
            raised.map_err(|error| reserve_error(self.principal, error))
        })
    }

    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>> {
        Box::pin(async move {
            let kept = self.sync.lock().await.wait_synced().await;
            kept.map_err(|error| ReserveError::Unavailable(Box::new(error)))
        })
    }

    fn record_usage<'a>(&'a self, usage: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(async move {
            let written = record(&self.store, &self.row, usage).await;
            written.map_err(|error| match error.is_retryable() {
                true => RecordError::Unavailable(Box::new(error)),
                false => RecordError::Refused(Box::new(error)),
            })
        })
    }
}

/// Why a call is not granted; nothing is written then.
#[derive(Debug, thiserror::Error)]
enum GrantError {
    /// A budget has no room for it.
    #[error("{0}")]
    OverBudget(String),
    /// The attempt that asks is over.
    #[error("the attempt is over")]
    Superseded,
    /// A budget of the month has no room for it.
    #[error("a budget of the month has no room for it")]
    MonthSpent,
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Counts the call as open if every budget has room for it; else says why not. The row outlives the end of this
/// process; who asks an upstream meanwhile waits for the disk before it tells of an answer.
async fn grant_call(
    ledger: &CallLedger,
    caller: &ModelCaller,
    projection: &CostProjection,
) -> Result<LedgerCall, GrantError> {
    let principal = caller.principal;
    let grant = async |tx: &mut Tx| -> Result<(OpenCall, HeldCall), GrantError> {
        open_calls::lock_budgets(tx, principal.spec).await?;
        let next = projection.cost;
        let is_held = expect_room(tx, &ledger.limits, principal, next).await?;
        let row = OpenCall {
            id: tx.new_id(),
            org_id: principal.org,
            project_id: principal.project,
            spec_id: principal.spec,
            purpose: principal.purpose.kind(),
            attempt_id: principal.purpose.attempt(),
            role: caller.role,
            route: projection.route,
            model: projection.model.clone(),
            simulated: projection.simulated,
            input_tokens: to_signed(projection.tokens.read_tokens()),
            output_tokens: to_signed(projection.tokens.output),
            cost_nanousd: next,
            owner: ledger.owner.clone(),
            opened_at: tx.now(),
            project_budget_id: None,
            organisation_budget_id: None,
        };
        // The simulated model costs nobody anything.
        if !is_held || projection.simulated {
            open_calls::insert(tx, &row).await?;
        } else if !open_calls::insert_held(tx, &row).await? {
            return Err(GrantError::MonthSpent);
        }
        // Held before it can be seen, so that it is never taken for left behind.
        let held = ledger.calls.hold_call(row.id);
        Ok((row, held))
    };
    let granted = ledger.store.write_ahead(CrashPoint::CallOpened, grant);
    let ((row, held), sync) = match granted.await {
        Err(GrantError::MonthSpent) => {
            return Err(explain_month(&ledger.store, principal, projection.cost).await);
        }
        granted => granted?,
    };
    Ok(LedgerCall {
        store: ledger.store.clone(),
        limits: ledger.limits,
        principal,
        row,
        sync: Mutex::new(sync),
        _held: held,
    })
}

/// Counts the call with `cost`, where every budget has room for what that is more than before.
async fn raise_call(call: &LedgerCall, cost: NanoUsd) -> Result<(), GrantError> {
    let (principal, id) = (call.principal, call.row.id);
    let raise = async |tx: &mut Tx| {
        open_calls::lock_budgets(tx, principal.spec).await?;
        let open = open_calls::get(tx, id).await?;
        if cost <= open.cost_nanousd {
            return Ok(());
        }
        let more = NanoUsd::from_nanos(cost.as_nanos() - open.cost_nanousd.as_nanos());
        expect_room(tx, &call.limits, principal, more).await?;
        match open_calls::raise_cost(tx, &open, cost).await? {
            true => Ok(()),
            false => Err(GrantError::MonthSpent),
        }
    };
    match call.store.write(CrashPoint::CallOpened, raise).await {
        Err(GrantError::MonthSpent) => {
            let more = cost.as_nanos() - call.row.cost_nanousd.as_nanos();
            Err(explain_month(&call.store, principal, NanoUsd::from_nanos(more)).await)
        }
        raised => raised,
    }
}

/// Which budget of the month refused a call that may cost `next`, in words.
async fn explain_month(store: &Tenant, principal: Principal, next: NanoUsd) -> GrantError {
    let explained = store.read(async |tx| refuse_month(tx, principal, next).await);
    explained.await.unwrap_or_else(GrantError::Store)
}

/// Puts the real cost in the place of the projected one. Recorded twice, as after a commit whose answer
/// was lost, it is recorded once.
///
/// The disk is not waited for: a loss of power that takes the record leaves the open call, which is on the disk and
/// is charged then with what it may have cost.
async fn record(store: &Tenant, call: &OpenCall, usage: &CallUsage) -> Result<(), StoreError> {
    let record = async |tx: &mut Tx| -> Result<(), StoreError> {
        if !open_calls::close(tx, call.id, usage.cost).await? {
            let entry = costs::get(tx, call.id).await?;
            return match entry.unrecorded {
                false => Ok(()),
                true => Err(StoreError::TakenOver),
            };
        }
        let cost = CallCost {
            cache_miss: cache_use::miss_reason(tx, call, usage).await?,
            model: usage.model.clone(),
            simulated: usage.simulated,
            tokens: usage.tokens,
            cost: usage.cost,
            latency_ms: usage.latency_ms,
            calls: usage.calls,
            estimated: usage.is_estimated,
            unrecorded: false,
        };
        let entry = cost.ledger_entry(tx, call);
        costs::insert(tx, call.project_id, &entry).await
    };
    let recorded = store.write_ahead(CrashPoint::CostRecorded, record).await;
    recorded.map(|((), _)| ())
}
