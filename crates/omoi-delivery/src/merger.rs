//! One merge queue per integration branch: takes the next entry whose prerequisites landed, in the
//! order (level, ordinal), never waiting for one that is not queued yet.

mod land;

use futures::future::BoxFuture;
use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::merge::MergeState;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::consume::Consume;
use omoi_execution::platform_run::{PlatformWork, begin_run};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::merges::{self, Merge, MergeMove};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tx, attempts, tasks};

/// Times a merge may start over before a person must look.
pub const RESTARTS_MAX: u32 = 5;

/// The merger of one process.
pub struct Merger {
    platform: Platform,
}

impl Merger {
    /// A merger on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let working = self.platform.own_specs(SpecStatus::Working).await?;
        for spec in working {
            let turn = async {
                self.take_up_lost(&spec).await?;
                self.watch_resolutions(&spec).await?;
                self.start_next(&spec).await
            };
            entities.turn(now, spec.label(), turn).await;
        }
        Ok(Next::Idle)
    }

    /// Merges whose attempt is gone have their turn again.
    async fn take_up_lost(&self, spec: &Spec) -> Result<(), StoreError> {
        let mut tx = self.platform.store.begin_write().await?;
        let mut moved = false;
        for mut merge in merges::of_spec(&mut tx, spec.id).await? {
            if !matches!(merge.state, MergeState::InProgress | MergeState::Verifying) {
                continue;
            }
            let subject = AttemptSubject::Merge { merge_id: merge.id };
            let live = attempts::live(&mut tx, merge.spec_id, subject).await?;
            if live.is_none() {
                let made = attempts::of_subject(&mut tx, merge.spec_id, subject).await?;
                match made.last().filter(|a| a.state == AttemptState::Failed) {
                    Some(failed) => {
                        let why = failed.error_message.as_deref().unwrap_or("it failed");
                        restart(&mut tx, &mut merge, why).await?;
                    }
                    // A process that died says nothing about the merge.
                    None => queue_again(&mut tx, &mut merge, "its attempt is gone").await?,
                }
                moved = true;
            }
        }
        if moved {
            tx.commit(CrashPoint::MergeMoved).await
        } else {
            Ok(())
        }
    }

    /// A conflict whose resolve task will never land waits for a person.
    async fn watch_resolutions(&self, spec: &Spec) -> Result<(), StoreError> {
        let mut tx = self.platform.store.begin_write().await?;
        let mut moved = false;
        for mut merge in merges::of_spec(&mut tx, spec.id).await? {
            let (MergeState::Resolving, Some(id)) = (merge.state, merge.resolve_task_id) else {
                continue;
            };
            let resolve = tasks::get(&mut tx, id).await?;
            if matches!(resolve.status, TaskStatus::Failed | TaskStatus::Cancelled) {
                let why = resolve.error_message.clone().unwrap_or_default();
                let error = format!("TSK-{:03} did not resolve it: {why}", resolve.number);
                merge.error = Some(error.clone());
                let mut task = tasks::get(&mut tx, merge.task_id).await?;
                let step = MergeMove::to(MergeState::Manual).because(error);
                merges::transition(&mut tx, &mut merge, &mut task, step).await?;
                omoi_execution::tasks::block_waiting(&mut tx, &task).await?;
                moved = true;
            }
        }
        if moved {
            tx.commit(CrashPoint::MergeMoved).await
        } else {
            Ok(())
        }
    }

    /// Gives the next entry its turn, if none has it.
    async fn start_next(&self, spec: &Spec) -> Result<(), BoxError> {
        let store = &self.platform.store;
        let begun = store.write(CrashPoint::MergeMoved, async |tx| {
            let all = merges::of_spec(tx, spec.id).await?;
            let busy =
                |m: &Merge| matches!(m.state, MergeState::InProgress | MergeState::Verifying);
            if all.iter().any(busy) {
                return Ok(None);
            }
            let Some(mut merge) = next(tx, spec, all).await? else {
                return Ok(None);
            };
            let mut task = tasks::get(tx, merge.task_id).await?;
            let step = MergeMove::to(MergeState::InProgress);
            merges::transition(tx, &mut merge, &mut task, step).await?;
            let work = PlatformWork {
                subject: AttemptSubject::Merge { merge_id: merge.id },
                round: task.round,
            };
            let run = begin_run(tx, &self.platform, spec, work).await?;
            Ok::<_, StoreError>(Some((run, merge, task)))
        });
        let Some((run, merge, task)) = begun.await? else {
            return Ok(());
        };
        let (platform, spec, attempt) = (self.platform.clone(), spec.clone(), run.attempt.id);
        run.spawn(format!("merge of TSK-{:03}", task.number), async move {
            let turn = land::Turn {
                platform: &platform,
                spec: &spec,
                merge: merge.id,
                attempt,
            };
            land::land(turn).await
        });
        Ok(())
    }
}

/// The first pending entry, by level and ordinal, whose task's prerequisites have all landed.
async fn next(tx: &mut Tx, spec: &Spec, all: Vec<Merge>) -> Result<Option<Merge>, StoreError> {
    let edges = tasks::dependencies(tx, spec.id).await?;
    let every = tasks::of_spec(tx, spec.id).await?;
    let landed = |id| {
        every
            .iter()
            .any(|t| t.id == id && t.integration_state.satisfies_dependents())
    };
    Ok(all.into_iter().find(|merge| {
        merge.state == MergeState::Pending
            && edges
                .iter()
                .filter(|(task, _)| *task == merge.task_id)
                .all(|(_, on)| landed(*on))
    }))
}

/// Puts a merge back into the queue; too often, and a person must look.
pub(crate) async fn restart(tx: &mut Tx, merge: &mut Merge, why: &str) -> Result<(), StoreError> {
    if merge.restarts < RESTARTS_MAX {
        merge.restarts += 1;
        return queue_again(tx, merge, why).await;
    }
    let mut task = tasks::get(tx, merge.task_id).await?;
    let n = merge.restarts;
    let error = format!(
        "TSK-{:03} was not merged in {n} more tries: {why}",
        task.number
    );
    merge.error = Some(error.clone());
    let step = MergeMove::to(MergeState::Manual).because(error);
    merges::transition(tx, merge, &mut task, step).await?;
    omoi_execution::tasks::block_waiting(tx, &task).await
}

async fn queue_again(tx: &mut Tx, merge: &mut Merge, why: &str) -> Result<(), StoreError> {
    let mut task = tasks::get(tx, merge.task_id).await?;
    let step = MergeMove::to(MergeState::Pending).because(why);
    merges::transition(tx, merge, &mut task, step).await
}

impl Consume for Merger {
    fn consumer(&self) -> Consumer {
        Consumer::Merger
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.pass(now, entities))
    }
}
