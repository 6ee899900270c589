//! Runs the checks of tasks whose agents say done; completes them or sends them back.

use std::time::Duration;

use futures::future::BoxFuture;
use tracing::{info, trace};

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Consumer, DependencyChange, Event};
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::lifecycle::task::{
    ChecksResult, ChecksStart, PendingChecks, ValidatedTask, conclude_checks, start_checks,
    take_up_checks,
};
use omoi_domain::slots::SlotLimits;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_domain::time::Timestamp;
use omoi_execution::consume::EventConsumer;
use omoi_execution::platform_run::{
    PlatformRun, PlatformRunner, PlatformWork, RunEnding, begin_run, earlier_runs, end_run,
};
use omoi_execution::setup::dependency_diff;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::tasks::apply_to_task;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx, slots};

use crate::receipts::{self, CheckBatch, CheckRunner};
use crate::suite::{self, CommitAt};

/// Versions that are told of as added, and as removed.
const NAMES_MAX: usize = 100;

/// How often tasks that wait for a slot are looked at.
const SLOT_LOOK: Duration = Duration::from_secs(3);

/// The validator of one process.
pub struct Validator {
    store: Tenant,
    selection: SpecSelection,
    platform: PlatformRunner,
    runner: CheckRunner,
    slots: SlotLimits,
}

impl FromParts for Validator {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            selection: SpecSelection::from_parts(parts),
            platform: PlatformRunner::from_parts(parts),
            runner: CheckRunner::from_parts(parts),
            slots: parts.queue.slots,
        }
    }
}

/// The checks of a task that have begun.
struct BegunChecks {
    run: PlatformRun,
    spec: Spec,
    task: Task,
}

impl Validator {
    async fn run_pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        for task in self.with_status(TaskStatus::Validating).await? {
            let turn = async { Ok(self.take_up_lost(task.id).await?) };
            entities.give_turn(now, task.label(), turn).await;
        }
        let mut waits = false;
        for task in self.with_status(TaskStatus::PendingValidation).await? {
            let turn = entities.give_turn(now, task.label(), self.start(task.id));
            waits |= turn.await.done_value() == Some(false);
        }
        // The slot that it waits for may be one that another organisation gives back.
        Ok(match waits {
            true => Next::At(now + SLOT_LOOK),
            false => Next::Idle,
        })
    }

    async fn with_status(&self, status: TaskStatus) -> Result<Vec<Task>, StoreError> {
        let store = &self.store;
        store
            .read(async |tx| tasks::with_status(tx, status).await)
            .await
    }

    /// A task under validation whose check attempt is gone waits again.
    async fn take_up_lost(&self, id: TaskId) -> Result<(), StoreError> {
        let store = &self.store;
        store
            .write(CrashPoint::TaskMoved, async |tx| {
                let mut task = tasks::get(tx, id).await?;
                let subject = AttemptSubject::TaskChecks { task_id: id };
                let runs = earlier_runs(tx, task.spec_id, subject).await?;
                let actions = take_up_checks(task.status, &runs);
                apply_to_task(tx, &mut task, actions).await
            })
            .await
    }

    /// Begins the checks of a task; false when they wait.
    async fn start(&self, id: TaskId) -> Result<bool, BoxError> {
        let store = &self.store;
        let begun = store.write(CrashPoint::ValidationStarted, async |tx| {
            begin_checks(tx, self, id).await
        });
        let begun = match begun.await {
            // Another took the last slot meanwhile: it waits, as when none was free.
            Err(StoreError::SlotsTaken) => None,
            begun => begun?,
        };
        let Some(BegunChecks { run, spec, task }) = begun else {
            trace!(task.id = %id, "The checks of `{id}` wait");
            return Ok(false);
        };
        let (number, head) = (task.number, task.head_sha.as_deref());
        info!(task.id = %id, attempt.id = %run.attempt.id, head, "Checking TSK-{number:03}");
        let (runner, attempt) = (self.runner.clone(), run.attempt.id);
        run.spawn(format!("checks of TSK-{:03}", task.number), async move {
            validate_task(&runner, &spec, &task, attempt).await
        });
        Ok(true)
    }
}

async fn begin_checks(
    tx: &mut Tx,
    validator: &Validator,
    id: TaskId,
) -> Result<Option<BegunChecks>, StoreError> {
    let mut task = tasks::get(tx, id).await?;
    let spec = specs::get(tx, task.spec_id).await?;
    if !validator.selection.works_on(&spec) {
        return Ok(None);
    }
    let work = PlatformWork {
        subject: AttemptSubject::TaskChecks { task_id: id },
        round: task.round,
    };
    let runs = earlier_runs(tx, spec.id, work.subject).await?;
    let limits = validator.slots;
    // Should another take the last slot meanwhile, the commit refuses.
    tx.limit_slots(limits);
    let slots = slots::in_use(tx).await?;
    let start = start_checks(PendingChecks {
        status: task.status,
        has_slot: slots.limit_reached(limits, task.project_id).is_none(),
        round: task.round,
        since: task.not_before,
        runs: &runs,
    });
    match start {
        ChecksStart::Wait => Ok(None),
        ChecksStart::GiveUp(actions) => {
            apply_to_task(tx, &mut task, actions).await?;
            Ok(None)
        }
        ChecksStart::Begin(actions) => {
            apply_to_task(tx, &mut task, actions).await?;
            let run = begin_run(tx, &validator.platform, &spec, work).await?;
            Ok(Some(BegunChecks { run, spec, task }))
        }
    }
}

async fn validate_task(
    runner: &CheckRunner,
    spec: &Spec,
    task: &Task,
    attempt: AttemptId,
) -> Result<(), BoxError> {
    let head = task.head_sha.as_deref().ok_or("the task has no head")?;
    let commit = ObjectId::parse(head)?;
    note_dependencies(runner, spec, task, &commit).await?;
    receipts::try_proposed(runner, spec, task, attempt).await?;
    let run = CheckBatch {
        spec,
        attempt,
        stage: CheckStage::Task,
        commit: &commit,
        checks: receipts::of_task(runner, task, &commit).await?,
        task: Some(task.id),
    };
    let receipts = receipts::run_checks(runner, run).await?;
    let mirror = runner.folders.project_mirror(spec.project_id).await?;
    let at = CommitAt {
        mirror: &mirror,
        commit: &commit,
    };
    let fault = suite::environment_fault(at, &receipts).await?;
    let store = &runner.store;
    let ended = store.write(CrashPoint::ValidationEnded, async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        if !end_run(tx, attempt, RunEnding::Done).await? {
            return Ok(());
        }
        let has_own = !checks::of_task(tx, task.id).await?.is_empty();
        let result = checks_result(&receipts, fault, has_own);
        info!(task.id = %task.id, "The checks of TSK-{:03} ended: {}", task.number, outcome(&result));
        let validated = ValidatedTask {
            status: task.status,
            round: task.round,
        };
        let actions = conclude_checks(validated, result);
        apply_to_task(tx, &mut task, actions).await
    });
    Ok(ended.await?)
}

/// Tells when `commit` asks for other packages than the commit the task was cut from.
async fn note_dependencies(
    runner: &CheckRunner,
    spec: &Spec,
    task: &Task,
    commit: &ObjectId,
) -> Result<(), BoxError> {
    let mirror = runner.folders.project_mirror(spec.project_id).await?;
    let base = ObjectId::parse(task.base_sha.as_deref().unwrap_or(&spec.base_sha))?;
    let diff = dependency_diff(&mirror, &base, commit).await?;
    if diff.is_empty() {
        return Ok(());
    }
    let first = |names: Vec<String>| names.into_iter().take(NAMES_MAX).collect();
    let change = DependencyChange {
        task_id: task.id,
        number: task.number,
        commit: commit.to_string(),
        added: first(diff.added),
        removed: first(diff.removed),
    };
    info!(task.id = %task.id, "TSK-{:03} changes dependencies", task.number);
    let tell = async |tx: &mut Tx| -> Result<(), StoreError> {
        let event = Event::TaskDependenciesChanged(change.clone());
        tx.emit(Some(spec.project_id), Some(spec.id), event);
        Ok(())
    };
    Ok(runner.store.write(CrashPoint::EventsStored, tell).await?)
}

/// What the receipts say, all together. `fault` is what the machine lacks, where that explains every
/// failure.
fn checks_result(
    receipts: &[(Check, Receipt)],
    fault: Option<String>,
    has_own: bool,
) -> ChecksResult {
    if let Some(fault) = fault {
        return ChecksResult::Untested { fault };
    }
    match receipts::unmet_checks(UnmetCode::ChecksFailed, receipts) {
        Some(unmet) => ChecksResult::Failed(unmet),
        None if receipts.is_empty() => ChecksResult::NoCheck { has_own },
        None => ChecksResult::Passed,
    }
}

fn outcome(result: &ChecksResult) -> &str {
    match result {
        ChecksResult::Passed => "passed",
        ChecksResult::Failed(_) => "failed, so it is sent back",
        ChecksResult::Untested { fault } => fault,
        ChecksResult::NoCheck { .. } => "there was none to run",
    }
}

impl EventConsumer for Validator {
    fn consumer(&self) -> Consumer {
        Consumer::Validator
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}

#[cfg(test)]
mod tests {
    use omoi_domain::check::CheckKind;

    use super::*;
    use crate::samples::{sample_check, sample_receipt};

    #[test]
    fn what_the_machine_lacks_comes_before_what_is_red() {
        let own = sample_check(1, CheckKind::Proof, "test a");
        let green = vec![(own.clone(), sample_receipt(&own, true, "ok"))];
        let red = vec![(own.clone(), sample_receipt(&own, false, "no module"))];
        let fault = || Some("the sandbox lacks `iniconfig`".to_owned());
        for (receipts, fault, has_own, expected) in [
            (&green, None, true, "passed"),
            (&red, None, true, "failed, so it is sent back"),
            (&red, fault(), true, "the sandbox lacks `iniconfig`"),
            (&Vec::new(), None, true, "there was none to run"),
        ] {
            let result = checks_result(receipts, fault, has_own);
            assert_eq!(outcome(&result), expected);
        }
        for has_own in [true, false] {
            let result = checks_result(&[], None, has_own);
            assert_eq!(result, ChecksResult::NoCheck { has_own });
        }
    }
}
