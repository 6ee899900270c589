//! Budgets before, and the cost ledger after, every model call of an attempt.

use futures::future::BoxFuture;
use omoi_domain::attempt::Subject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_llm::meter::{Caller, Meter, Projection, RecordError, ReserveError, Usage};
use omoi_store::attempts::{self, Attempt};
use omoi_store::costs::{self, CostEntry};
use omoi_store::{StoreError, Tx, phases, tasks};

use crate::platform::Platform;

/// The ledger of one process.
pub struct Ledger {
    platform: Platform,
}

impl Ledger {
    /// A ledger on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn check(&self, id: AttemptId, projection: &Projection) -> Result<(), ReserveError> {
        let unavailable = |error: StoreError| ReserveError::Unavailable(Box::new(error));
        let settings = &self.platform.settings;
        let mut tx = self.platform.store.read().await.map_err(unavailable)?;
        let attempt = attempts::get(&mut tx, id).await.map_err(unavailable)?;
        let spec = costs::of_spec(&mut tx, attempt.spec_id)
            .await
            .map_err(unavailable)?;
        let own = costs::of_subject(&mut tx, &attempt.subject_id)
            .await
            .map_err(unavailable)?;
        let (what, own_cap) = match attempt.subject {
            Subject::SpecPhase => ("phase", settings.phase_budget_microusd),
            _ => ("task", settings.task_budget_microusd),
        };
        for (what, spent, cap) in [
            ("spec", spec.cost_microusd, settings.spec_budget_microusd),
            (what, own.cost_microusd, own_cap),
        ] {
            if spent.saturating_add(projection.cost_microusd) > cap {
                return Err(ReserveError::Refused {
                    reason: format!(
                        "the {what} has spent {:.4} USD of its {:.2} USD; the next call may cost {:.4} USD",
                        usd(spent),
                        usd(cap),
                        usd(projection.cost_microusd)
                    ),
                });
            }
        }
        Ok(())
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
            cost_microusd: usage.cost_microusd,
            latency_ms: signed(usage.latency_ms),
            calls: i64::from(usage.calls),
            created_at: tx.now(),
        };
        costs::insert(&mut tx, attempt.project_id, &entry).await?;
        tx.commit(CrashPoint::CostRecorded).await
    }
}

fn usd(micro: i64) -> f64 {
    micro as f64 / 1e6
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Meter for Ledger {
    fn reserve<'a>(
        &'a self,
        caller: &'a Caller,
        projection: &'a Projection,
    ) -> BoxFuture<'a, Result<(), ReserveError>> {
        Box::pin(async move {
            match caller.attempt {
                Some(id) => self.check(id, projection).await,
                None => Ok(()),
            }
        })
    }

    fn record<'a>(
        &'a self,
        caller: &'a Caller,
        usage: &'a Usage,
    ) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(async move {
            match caller.attempt {
                Some(id) => self
                    .write(id, caller, usage)
                    .await
                    .map_err(|e| RecordError(Box::new(e))),
                None => Ok(()),
            }
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
