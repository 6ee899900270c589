//! One merge queue per integration branch: takes the next entry whose prerequisites landed, in the
//! order (level, ordinal), never waiting for one that is not queued yet.

mod candidate;
mod land;

use futures::future::BoxFuture;
use tracing::debug;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::graph::Edge;
use omoi_domain::lifecycle::merge::{
    LeftMerge, MergeQueue, MergeTries, QueuedMerge, Resolution, begin_merge, next_merge,
    settle_merge,
};
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::consume::EventConsumer;
use omoi_execution::merges::apply_to_merge;
use omoi_execution::platform_run::{
    PlatformRun, PlatformRunner, PlatformWork, begin_run, earlier_runs,
};
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::merges::{self, Merge};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{StoreError, Tenant, Tx};

use crate::branch::BranchProver;

/// The merger of one process.
pub struct Merger {
    store: Tenant,
    selection: SpecSelection,
    platform: PlatformRunner,
    prover: BranchProver,
}

impl FromParts for Merger {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            selection: SpecSelection::from_parts(parts),
            platform: PlatformRunner::from_parts(parts),
            prover: BranchProver::from_parts(parts),
        }
    }
}

/// A merge that has its turn.
struct BegunMerge {
    run: PlatformRun,
    merge: Merge,
    task: Task,
}

impl Merger {
    async fn run_pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let working = self
            .selection
            .own_specs(&self.store, SpecStatus::Working)
            .await?;
        for spec in working {
            let turn = async {
                self.settle(&spec).await?;
                self.start_next(&spec).await
            };
            entities.give_turn(now, spec.label(), turn).await;
        }
        Ok(Next::Idle)
    }

    /// Gives merges whose attempt is gone another turn, and those whose resolution is lost to a person.
    async fn settle(&self, spec: &Spec) -> Result<(), StoreError> {
        let store = &self.store;
        store
            .write(CrashPoint::MergeMoved, async |tx| {
                let all = merges::of_spec(tx, spec.id).await?;
                for merge in all.into_iter().filter(|merge| merge.state.is_under_way()) {
                    settle_left(tx, merge).await?;
                }
                Ok(())
            })
            .await
    }

    /// Gives the next entry its turn, if none has it.
    async fn start_next(&self, spec: &Spec) -> Result<(), BoxError> {
        let store = &self.store;
        let begun = store.write(CrashPoint::MergeMoved, async |tx| {
            begin_next(tx, &self.platform, spec).await
        });
        let Some(BegunMerge { run, merge, task }) = begun.await? else {
            return Ok(());
        };
        debug!(
            merge.id = %merge.id, task.id = %task.id, incoming = merge.incoming_sha,
            "TSK-{:03} has its turn to merge", task.number
        );
        let (prover, spec, attempt) = (self.prover.clone(), spec.clone(), run.attempt.id);
        run.spawn(format!("merge of TSK-{:03}", task.number), async move {
            let turn = land::MergeTurn {
                prover: &prover,
                spec: &spec,
                attempt,
                task: &task,
                sides: None,
            };
            land::take_merge_turn(turn, merge).await
        });
        Ok(())
    }
}

async fn settle_left(tx: &mut Tx, mut merge: Merge) -> Result<(), StoreError> {
    let subject = AttemptSubject::Merge { merge_id: merge.id };
    // One that waits for its resolution has no attempt.
    let runs = match merge.state.has_turn() {
        true => earlier_runs(tx, merge.spec_id, subject).await?,
        false => Vec::new(),
    };
    let task = tasks::get(tx, merge.task_id).await?;
    let resolution = match merge.resolve_task_id {
        Some(id) => Some(tasks::get(tx, id).await?),
        None => None,
    };
    let actions = settle_merge(LeftMerge {
        state: merge.state,
        runs: &runs,
        tries: tries(&merge, &task),
        resolution: resolution.as_ref().map(resolution_of),
    });
    apply_to_merge(tx, &mut merge, actions).await
}

async fn begin_next(
    tx: &mut Tx,
    platform: &PlatformRunner,
    spec: &Spec,
) -> Result<Option<BegunMerge>, StoreError> {
    let all = merges::of_spec(tx, spec.id).await?;
    let queued: Vec<QueuedMerge> = all.iter().map(queued).collect();
    let edges = tasks::dependencies(tx, spec.id).await?.into_iter();
    let edges: Vec<_> = edges
        .map(|(task, prerequisite)| Edge::new(prerequisite, task))
        .collect();
    let tasks = tasks::standing_of_spec(tx, spec.id).await?;
    let has_landed = |task: &&TaskStanding| task.integration_state.satisfies_dependents();
    let landed: Vec<_> = tasks.iter().filter(has_landed).map(|t| t.id).collect();
    let next = next_merge(MergeQueue {
        merges: &queued,
        edges: &edges,
        landed: &landed,
    });
    let Some(mut merge) = all.into_iter().find(|merge| Some(merge.id) == next) else {
        return Ok(None);
    };
    apply_to_merge(tx, &mut merge, begin_merge()).await?;
    let task = tasks::get(tx, merge.task_id).await?;
    let work = PlatformWork {
        subject: AttemptSubject::Merge { merge_id: merge.id },
        round: task.round,
    };
    let run = begin_run(tx, platform, spec, work).await?;
    Ok(Some(BegunMerge { run, merge, task }))
}

fn queued(merge: &Merge) -> QueuedMerge {
    QueuedMerge {
        id: merge.id,
        task_id: merge.task_id,
        state: merge.state,
    }
}

fn resolution_of(task: &Task) -> Resolution<'_> {
    Resolution {
        number: task.number,
        status: task.status,
        error: task.error_message.as_deref(),
    }
}

fn tries(merge: &Merge, task: &Task) -> MergeTries {
    MergeTries {
        number: task.number,
        restarts: merge.restarts,
    }
}

impl EventConsumer for Merger {
    fn consumer(&self) -> Consumer {
        Consumer::Merger
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}
