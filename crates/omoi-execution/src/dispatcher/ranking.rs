//! Which tasks could start, best first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::trace;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{SpecId, TaskId};
use omoi_domain::score::{RankedTask, ScoreFacts, compare_ranked, task_score};
use omoi_domain::spec::SpecStatus;
use omoi_store::tasks::{self, QueueScan, Task};
use omoi_store::{StoreError, Tenant, Tx, specs};

use super::Dispatcher;
use crate::spec_selection::SpecSelection;

/// A kept score differs from the true one by less.
const SCORE_STEP: f64 = 0.01;

/// A task that could start, and its score at this instant.
struct ScoredTask {
    task: Task,
    score: f64,
}

impl ScoredTask {
    /// Tasks of one score and age start in plan order.
    fn rank(&self) -> RankedTask<(i64, i64, TaskId)> {
        let task = &self.task;
        RankedTask {
            score: self.score,
            queued_at: task.queued_at,
            id: (task.level, task.ordinal, task.id),
        }
    }
}

/// Tasks that could start, best first; their scores are kept for people.
pub(super) async fn ranked_candidates(dispatcher: &Dispatcher) -> Result<Vec<Task>, StoreError> {
    let scored = dispatcher
        .store
        .read(async |tx| scored(tx, dispatcher).await)
        .await?;
    keep_scores(&dispatcher.store, &scored).await?;
    trace!(n_tasks = scored.len(), "Ranked the tasks that could start");
    let mut ranked: Vec<_> = scored.iter().map(ScoredTask::rank).collect();
    ranked.sort_by(compare_ranked);
    let mut tasks: BTreeMap<TaskId, Task> = scored
        .into_iter()
        .map(|one| (one.task.id, one.task))
        .collect();
    let in_order = ranked.into_iter().map(|RankedTask { id, .. }| id.2);
    Ok(in_order.filter_map(|id| tasks.remove(&id)).collect())
}

async fn scored(tx: &mut Tx, dispatcher: &Dispatcher) -> Result<Vec<ScoredTask>, StoreError> {
    let queue = &dispatcher.queue;
    let starving = Duration::from_secs_f64(queue.weights.starvation_limit);
    let scan = QueueScan {
        starving_since: tx.now() - starving,
        project_slots: queue.slots.per_project,
        limit: queue.scan_batch,
        spec: None,
    };
    let candidates = candidates(tx, &dispatcher.selection, scan).await?;
    let specs: BTreeSet<SpecId> = candidates.iter().map(|task| task.spec_id).collect();
    let mut dependents = BTreeMap::new();
    for spec in specs {
        dependents.extend(tasks::dependent_counts(tx, spec).await?);
    }
    let now = tx.now();
    let scored = candidates.into_iter().map(|task| {
        let candidate = ScoreFacts {
            priority: task.priority,
            queued_at: task.queued_at,
            deadline_at: task.deadline_at,
            n_dependents: dependents.get(&task.id).copied().unwrap_or(0) as u32,
            retry_count: task.retry_count,
            max_retries: task.max_retries,
        };
        let score = task_score(&queue.weights, now, &candidate);
        ScoredTask { task, score }
    });
    Ok(scored.collect())
}

/// What `scan` finds of the specs this process goes on with. Where it must leave some alone, each
/// other is looked at by itself, so that none is hidden behind their tasks.
async fn candidates(
    tx: &mut Tx,
    selection: &SpecSelection,
    scan: QueueScan,
) -> Result<Vec<Task>, StoreError> {
    let working = specs::with_status(tx, SpecStatus::Working).await?;
    let n_working = working.len();
    let own: Vec<SpecId> = working
        .iter()
        .filter(|spec| selection.works_on(spec))
        .map(|spec| spec.id)
        .collect();
    if own.len() == n_working {
        return tasks::eligible(tx, scan).await;
    }
    let mut found = Vec::new();
    for spec in own {
        let scan = QueueScan {
            spec: Some(spec),
            ..scan
        };
        found.extend(tasks::eligible(tx, scan).await?);
    }
    Ok(found)
}

/// Keeps the scores that changed enough to be told apart.
async fn keep_scores(store: &Tenant, scored: &[ScoredTask]) -> Result<(), StoreError> {
    let is_moved = |one: &&ScoredTask| (one.task.score - one.score).abs() >= SCORE_STEP;
    let moved: Vec<_> = scored.iter().filter(is_moved).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let keep = async |tx: &mut Tx| {
        tasks::hold_tasks(tx, moved.iter().map(|one| one.task.id)).await?;
        for one in moved {
            tasks::keep_score(tx, one.task.id, one.score).await?;
        }
        Ok(())
    };
    store.write(CrashPoint::ScoresKept, keep).await
}
