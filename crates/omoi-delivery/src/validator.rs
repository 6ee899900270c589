//! Runs the checks of tasks whose agents say done; completes them or sends them back.

use futures::future::BoxFuture;
use tracing::info;

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::block::TaskBlock;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::consume::Consume;
use omoi_execution::platform_run::{PlatformWork, RunEnding, begin_run, end_run};
use omoi_execution::tasks::send_back;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::merges::{self, Merge};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, attempts, slots};

use crate::receipts::{self, Run};
use crate::suite;

/// Times one round's checks may fail to run at all.
const SPAWNS_MAX: usize = 3;

/// The validator of one process.
pub struct Validator {
    platform: Platform,
}

impl Validator {
    /// A validator on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let under = {
            let mut tx = self.platform.store.begin_read().await?;
            tasks::with_status(&mut tx, TaskStatus::Validating).await?
        };
        for task in under {
            let turn = async { Ok(self.take_up_lost(task.id).await?) };
            entities.turn(now, task.label(), turn).await;
        }
        let waiting = {
            let mut tx = self.platform.store.begin_read().await?;
            tasks::with_status(&mut tx, TaskStatus::PendingValidation).await?
        };
        for task in waiting {
            entities.turn(now, task.label(), self.start(task.id)).await;
        }
        Ok(Next::Idle)
    }

    /// A task under validation whose check attempt is gone waits again.
    async fn take_up_lost(&self, id: TaskId) -> Result<(), StoreError> {
        let mut tx = self.platform.store.begin_write().await?;
        let mut task = tasks::get(&mut tx, id).await?;
        let subject = AttemptSubject::TaskChecks { task_id: id };
        let live = attempts::live(&mut tx, task.spec_id, subject).await?;
        if task.status == TaskStatus::Validating && live.is_none() {
            let reason = Some("its checks were cut short".to_owned());
            tasks::transition(&mut tx, &mut task, TaskStatus::PendingValidation, reason).await?;
            tx.commit(CrashPoint::TaskMoved).await?;
        }
        Ok(())
    }

    async fn start(&self, id: TaskId) -> Result<(), BoxError> {
        let mut tx = self.platform.store.begin_write().await?;
        let mut task = tasks::get(&mut tx, id).await?;
        if task.status != TaskStatus::PendingValidation {
            return Ok(());
        }
        let spec = specs::get(&mut tx, task.spec_id).await?;
        if !self.platform.works_on(&spec) {
            return Ok(());
        }
        let limits = self.platform.settings.slot_limits();
        tx.limit_slots(limits);
        let slots = slots::in_use(&mut tx).await?;
        if slots.limit_reached(limits, task.project_id).is_some() {
            return Ok(());
        }
        let subject = AttemptSubject::TaskChecks { task_id: id };
        let spawned = attempts::of_subject(&mut tx, task.spec_id, subject).await?;
        let failures = spawned
            .iter()
            .filter(|a| a.round == task.round)
            // A task a person put back into the queue has all its tries.
            .filter(|a| a.state == AttemptState::Failed && a.created_at >= task.not_before);
        let failures: Vec<_> = failures.collect();
        if failures.len() >= SPAWNS_MAX {
            let why = failures
                .last()
                .and_then(|a| a.error_message.clone())
                .unwrap_or_default();
            tasks::transition(&mut tx, &mut task, TaskStatus::Validating, None).await?;
            let reason = format!("checks could not be run: {why}");
            task.error_message = Some(reason.clone());
            tasks::fail_permanently(&mut tx, &mut task, reason).await?;
            omoi_execution::tasks::block_dependents(&mut tx, &task).await?;
            tx.commit(CrashPoint::TaskMoved).await?;
            return Ok(());
        }
        tasks::transition(&mut tx, &mut task, TaskStatus::Validating, None).await?;
        let work = PlatformWork {
            subject,
            round: task.round,
        };
        let run = begin_run(&mut tx, &self.platform, &spec, work).await?;
        tx.commit(CrashPoint::ValidationStarted).await?;
        let (platform, attempt) = (self.platform.clone(), run.attempt.id);
        run.spawn(format!("checks of TSK-{:03}", task.number), async move {
            validate(&platform, &spec, &task, attempt).await
        });
        Ok(())
    }
}

async fn validate(
    platform: &Platform,
    spec: &Spec,
    task: &Task,
    attempt: AttemptId,
) -> Result<(), BoxError> {
    let head = task.head_sha.as_deref().ok_or("the task has no head")?;
    let commit = ObjectId::parse(head)?;
    receipts::try_proposed(platform, spec, task, attempt).await?;
    let checks = receipts::of_task(platform, task, &commit).await?;
    let run = Run {
        spec,
        attempt,
        stage: CheckStage::Task,
        commit: &commit,
        checks,
        task: Some(task.id),
    };
    let receipts = receipts::run(platform, run).await?;
    let mirror = platform.mirror(spec.project_id).await?;
    let fault = suite::environment_fault(&mirror, &commit, &receipts).await?;
    let mut tx = platform.store.begin_write().await?;
    let mut task = tasks::get(&mut tx, task.id).await?;
    if !end_run(&mut tx, attempt, RunEnding::Done).await? {
        return Ok(());
    }
    if task.status == TaskStatus::Validating {
        match fault {
            Some(fault) => block(&mut tx, &mut task, &fault).await?,
            None => conclude(&mut tx, spec, &mut task, &receipts).await?,
        }
    }
    tx.commit(CrashPoint::ValidationEnded).await?;
    Ok(())
}

/// Has the task wait for what the machine lacks. That is no round: the agent cannot mend it.
async fn block(tx: &mut Tx, task: &mut Task, fault: &str) -> Result<(), StoreError> {
    info!(task.id = %task.id, "TSK-{:03} waits: {fault}", task.number);
    let block = TaskBlock::Environment;
    let reason = format!("{}: {fault}", block.kind());
    tasks::block(tx, task, block, reason).await?;
    omoi_execution::tasks::block_waiting(tx, task).await
}

/// Completes the task and queues its merge, or sends it back with what failed.
async fn conclude(
    tx: &mut Tx,
    spec: &Spec,
    task: &mut Task,
    receipts: &[(Check, Receipt)],
) -> Result<(), StoreError> {
    if let Some(unmet) = receipts::unmet(UnmetCode::ChecksFailed, receipts) {
        info!(task.id = %task.id, "Sending back TSK-{:03}", task.number);
        return send_back(tx, task, unmet).await;
    }
    if receipts.is_empty() {
        // Nothing to prove it by: a person must name a check.
        let own = checks::of_task(tx, task.id).await?;
        let reason = match own.is_empty() {
            true => "needs_check: neither a check of its own nor a project suite",
            false => {
                "check_proves_nothing: it passes without the work, and there is no project suite"
            }
        };
        task.error_message = Some(reason.to_owned());
        tasks::fail_permanently(tx, task, reason.to_owned()).await?;
        return omoi_execution::tasks::block_dependents(tx, task).await;
    }
    task.revision = None;
    task.error_message = None;
    tasks::transition(tx, task, TaskStatus::Completed, None).await?;
    let incoming = task.head_sha.clone().unwrap_or_default();
    let merge = Merge::of(tx, task, &spec.integration_branch, &incoming);
    merges::queue_merge(tx, &merge, task).await
}

impl Consume for Validator {
    fn consumer(&self) -> Consumer {
        Consumer::Validator
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.pass(now, entities))
    }
}
