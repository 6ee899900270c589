//! Tasks whose attempt is over: what each follow-up has to read before it is decided.

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::lifecycle::attempt::{AttemptLoss, TaskFollowUp, after_loss};
use omoi_domain::lifecycle::task::{
    PostponedTask, ProviderFailure, TaskFailure, block_over_budget, fail_task, postpone_task,
    provider_failed, requeue_task, submit_task, wait_for_answer,
};
use omoi_domain::outage::is_provider_failure;
use omoi_domain::retry::{self, ErrorClass};
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tx};

use super::{apply_to_task, cancel, of_attempt, send_back};
use crate::failure_policy::FailurePolicy;
use crate::{disk_room, outage};

/// Moves the task of an attempt that the platform ended.
pub(crate) async fn attempt_lost(
    tx: &mut Tx,
    failures: &FailurePolicy,
    attempt: &Attempt,
    loss: &AttemptLoss,
) -> Result<(), StoreError> {
    let Some(mut task) = of_attempt(tx, attempt).await? else {
        return Ok(());
    };
    match after_loss(task.status, loss) {
        Some(step) => follow_up(tx, failures, &mut task, step).await,
        None => Ok(()),
    }
}

/// Moves a task whose attempt is over. The attempt is over in `tx`.
pub(crate) async fn follow_up(
    tx: &mut Tx,
    failures: &FailurePolicy,
    task: &mut Task,
    step: TaskFollowUp,
) -> Result<(), StoreError> {
    match step {
        TaskFollowUp::Validate => apply_to_task(tx, task, submit_task()).await,
        TaskFollowUp::SendBack(unmet) => send_back(tx, task, unmet).await,
        TaskFollowUp::Fail { class, message } => {
            fail_attempted(tx, failures, task, class, &message).await
        }
        TaskFollowUp::WaitForProvider { class, message } => {
            let message = message.as_str();
            let is_saved = true;
            let outage = TaskOutage {
                class,
                message,
                is_saved,
            };
            fail_of_provider(tx, failures, task, outage).await
        }
        TaskFollowUp::WaitForAnswer { question } => {
            let actions = wait_for_answer(task.status, &question);
            apply_to_task(tx, task, actions).await
        }
        TaskFollowUp::Cancel => cancel(tx, task, "interrupted by a person").await,
        TaskFollowUp::DiskStopped { description } => {
            disk_room::task_stopped(tx, task, &description).await
        }
        TaskFollowUp::Postpone { class, message } => {
            let subject = AttemptSubject::Task { task_id: task.id };
            let step = outage::postponed_start_step(tx, task.spec_id, subject).await?;
            let actions = postpone_task(PostponedTask {
                status: task.status,
                class,
                message: &message,
                step,
            });
            apply_to_task(tx, task, actions).await
        }
        TaskFollowUp::Requeue { reason } => apply_to_task(tx, task, requeue_task(reason)).await,
    }
}

/// Fails a task and, where its class and its count allow, puts it back into the queue after a pause.
///
/// # Errors
/// When the database cannot be written.
pub async fn fail_attempted(
    tx: &mut Tx,
    failures: &FailurePolicy,
    task: &mut Task,
    class: ErrorClass,
    message: &str,
) -> Result<(), StoreError> {
    if is_provider_failure(class) {
        let is_saved = false;
        let outage = TaskOutage {
            class,
            message,
            is_saved,
        };
        return fail_of_provider(tx, failures, task, outage).await;
    }
    if class == ErrorClass::QuotaExceeded {
        let actions = block_over_budget(task.status, message);
        return apply_to_task(tx, task, actions).await;
    }
    let attempts = attempts::of_task(tx, task.id).await?;
    // An attempt that was lost or stopped says nothing about the task.
    let failed = attempts.iter().filter(|a| a.state == AttemptState::Failed);
    let earlier: Vec<(ErrorClass, String)> = failed
        .filter_map(|a| Some((a.error_class?, a.error_message.clone()?)))
        .collect();
    let (low, high) = (*retry::JITTER.start(), *retry::JITTER.end());
    let actions = fail_task(TaskFailure {
        task_type: task.task_type,
        retry_count: task.retry_count,
        max_retries: task.max_retries,
        class,
        message,
        failures: &earlier,
        now: tx.now(),
        jitter: low + (high - low) * failures.rng.unit_fraction(),
    });
    apply_to_task(tx, task, actions).await
}

/// How the model provider failed an attempt at a task.
struct TaskOutage<'a> {
    class: ErrorClass,
    message: &'a str,
    /// Whether the attempt was saved before it could fail.
    is_saved: bool,
}

/// Has a task whose attempt the model provider failed wait: for its next try, or for a person.
async fn fail_of_provider(
    tx: &mut Tx,
    failures: &FailurePolicy,
    task: &mut Task,
    outage: TaskOutage<'_>,
) -> Result<(), StoreError> {
    let TaskOutage {
        class,
        message,
        is_saved,
    } = outage;
    let failed = outage::FailedWork {
        spec_id: task.spec_id,
        subject: AttemptSubject::Task { task_id: task.id },
        class,
    };
    let step = outage::next_outage_step(tx, failures, failed).await?;
    let actions = provider_failed(ProviderFailure {
        status: task.status,
        class,
        reason: outage::outage_reason(class, message),
        step,
        is_saved,
    });
    apply_to_task(tx, task, actions).await
}
