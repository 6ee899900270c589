//! Budgets before, and the cost ledger after, every model call of an attempt.

mod call_failure;
mod open;

use std::sync::Arc;

use futures::future::BoxFuture;
use omoi_domain::attempt::Subject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::money::NanoUsd;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::{Caller, Meter, Projection, RecordError, ReserveError, ReservedCall, Usage};
use omoi_runtime::telemetry::chain;
use omoi_store::attempts::{self, Attempt};
use omoi_store::costs::{self, CostEntry};
use omoi_store::{StoreError, Tx, phases, specs, tasks};
use tokio::sync::Mutex;
use tracing::warn;

use self::open::{OpenCall, OpenCalls};
use crate::platform::Platform;

/// The ledger of one process. Of an organisation's processes only the orchestrator asks models in
/// attempts, so it knows every call under way.
#[derive(Clone)]
pub struct Ledger {
    platform: Platform,
    open: OpenCalls,
    /// Held while a call turns from open to recorded, and while both are summed.
    turn: Arc<Mutex<()>>,
}

/// A call the ledger granted.
struct LedgerCall {
    ledger: Ledger,
    caller: Caller,
    open: Mutex<Option<OpenCall>>,
}

/// A budget, and what went from it.
struct Budget {
    what: &'static str,
    spent: NanoUsd,
    open: NanoUsd,
    cap: NanoUsd,
}

impl Budget {
    /// Why a call that may cost `next` is refused, if it is.
    fn refusal(&self, next: NanoUsd) -> Option<String> {
        let Self {
            what,
            spent,
            open,
            cap,
        } = *self;
        if spent.saturating_add(open).saturating_add(next) <= cap {
            return None;
        }
        let under_way = match open {
            NanoUsd::ZERO => String::new(),
            _ => format!("calls under way may cost {open:.4}, "),
        };
        Some(format!(
            "the {what} has spent {spent:.4} of its {cap:.2}; {under_way}the next call may cost {next:.4}"
        ))
    }
}

impl Ledger {
    /// A ledger on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            open: OpenCalls::default(),
            turn: Arc::default(),
        }
    }

    /// Counts the call as open if every budget has room for it.
    async fn open(&self, id: AttemptId, projection: &Projection) -> Result<OpenCall, ReserveError> {
        let _turn = self.turn.lock().await;
        let (attempt, budgets) = self
            .budgets(id)
            .await
            .map_err(|error| ReserveError::Unavailable(Box::new(error)))?;
        let next = projection.cost;
        match budgets.iter().find_map(|budget| budget.refusal(next)) {
            Some(reason) => Err(ReserveError::Refused { reason }),
            None => Ok(self.open.add(&attempt, next)),
        }
    }

    /// The budgets an attempt's calls are paid from.
    async fn budgets(&self, id: AttemptId) -> Result<(Attempt, [Budget; 2]), StoreError> {
        let mut tx = self.platform.store.read().await?;
        let attempt = attempts::get(&mut tx, id).await?;
        let settings = self
            .platform
            .settings_of(&specs::get(&mut tx, attempt.spec_id).await?);
        let spec = costs::of_spec(&mut tx, attempt.spec_id).await?;
        let own = costs::of_subject(&mut tx, &attempt.subject_id).await?;
        let (spec_open, own_open) = self.open.cost(&attempt);
        let (what, own_cap) = match attempt.subject {
            Subject::SpecPhase => ("phase", settings.phase_budget),
            _ => ("task", settings.task_budget),
        };
        let budgets = [
            Budget {
                what: "spec",
                spent: spec.cost_nanousd,
                open: spec_open,
                cap: settings.spec_budget,
            },
            Budget {
                what,
                spent: own.cost_nanousd,
                open: own_open,
                cap: own_cap,
            },
        ];
        Ok((attempt, budgets))
    }

    async fn write(&self, id: AttemptId, caller: &Caller, usage: &Usage) -> Result<(), StoreError> {
        let mut tx = self.platform.store.write().await?;
        let attempt = attempts::get(&mut tx, id).await?;
        let entry = CostEntry {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: attempt.spec_id,
            attempt_id: attempt.id,
            subject: attempt.subject.as_str().to_owned(),
            subject_id: attempt.subject_id.clone(),
            role: caller.role.clone(),
            route: usage.route.to_string(),
            model: usage.model.clone(),
            simulated: usage.simulated,
            input_tokens: signed(usage.tokens.input),
            output_tokens: signed(usage.tokens.output),
            cache_read_tokens: signed(usage.tokens.cache_read),
            cache_write_tokens: signed(usage.tokens.cache_write),
            cache_write_1h_tokens: signed(usage.tokens.cache_write_1h),
            cost_nanousd: usage.cost,
            latency_ms: signed(usage.latency_ms),
            calls: i64::from(usage.calls),
            created_at: tx.now(),
        };
        costs::insert(&mut tx, attempt.project_id, &entry).await?;
        tx.commit(CrashPoint::CostRecorded).await
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Meter for Ledger {
    fn reserve<'a>(
        &'a self,
        caller: &'a Caller,
        projection: &'a Projection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async move {
            let open = match caller.attempt {
                Some(id) => Some(self.open(id, projection).await?),
                None => None,
            };
            let call = LedgerCall {
                ledger: self.clone(),
                caller: caller.clone(),
                open: Mutex::new(open),
            };
            Ok(Box::new(call) as Box<dyn ReservedCall>)
        })
    }

    fn tell_failure<'a>(&'a self, caller: &'a Caller, failed: &'a FailedTry) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(id) = caller.attempt else {
                return;
            };
            if let Err(error) = call_failure::tell(&self.platform, id, caller, failed).await {
                warn!(attempt.id = %id, error = %chain(&error), "Could not tell of a failed model call");
            }
        })
    }
}

impl ReservedCall for LedgerCall {
    fn record<'a>(&'a self, usage: &'a Usage) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(async move {
            let Some(id) = self.caller.attempt else {
                return Ok(());
            };
            let _turn = self.ledger.turn.lock().await;
            let written = self.ledger.write(id, &self.caller, usage).await;
            written.map_err(|error| match StoreError::is_passing(&error) {
                true => RecordError::Unavailable(Box::new(error)),
                false => RecordError::Refused(Box::new(error)),
            })?;
            self.open.lock().await.take();
            Ok(())
        })
    }
}

/// Who calls a model in an attempt, as the gateway wants to know it.
///
/// # Errors
/// When the database cannot be read.
pub async fn caller(tx: &mut Tx, attempt: &Attempt) -> Result<Caller, StoreError> {
    let mut caller = Caller {
        org: attempt.org_id,
        project: attempt.project_id,
        spec: Some(attempt.spec_id),
        attempt: Some(attempt.id),
        role: attempt.role.clone(),
        phase: "work".to_owned(),
        task: None,
        title: None,
        round: attempt.round + 1,
    };
    match attempt.subject {
        Subject::SpecPhase => {
            if let Some((_, phase)) = attempt.subject_id.split_once('/') {
                caller.phase = phase.to_owned();
                let run = phases::find(tx, attempt.spec_id, phase).await?;
                caller.round = run.map_or(1, |run| run.attempts.max(1));
            }
        }
        Subject::Task => {
            if let Ok(id) = attempt.subject_id.parse() {
                let task = tasks::get(tx, id).await?;
                caller.task = Some(task.local_id);
                caller.title = Some(task.title);
            }
        }
        Subject::Check | Subject::Merge => {}
    }
    Ok(caller)
}
