//! `POST /tasks/cleanup-timed-out`, and which attempts that is about.

use std::time::Duration;

use tracing::info;

use omoi_domain::attempt::{AttemptState, SubjectKind};
use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::attempt::AttemptTime;
use omoi_domain::work_limits::WorkLimits;
use omoi_store::attempts::{self, Attempt};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx};

use crate::attempt::lose_attempt;
use crate::failure_policy::FailurePolicy;

/// An attempt at a task, with the time that it has.
#[derive(Clone, Debug)]
pub struct TimedAttempt {
    /// The task.
    pub task: Task,
    /// The attempt.
    pub attempt: Attempt,
    /// Its time.
    pub time: AttemptTime,
}

/// The wall time of one attempt at `task` of `spec`.
pub fn attempt_limit(task: &Task, spec: &Spec, limits: WorkLimits) -> Duration {
    let asked = u64::try_from(task.timeout_seconds).unwrap_or(0);
    Duration::from_secs(asked).min(spec.work_limits(limits).task.timeout)
}

/// The attempt that works on `task`, with its time; none while no worker does.
///
/// # Errors
/// When the database cannot be read.
pub async fn timed_attempt(
    tx: &mut Tx,
    limits: WorkLimits,
    task: Task,
) -> Result<Option<TimedAttempt>, StoreError> {
    let Some(attempt) = attempts::newest_of_task(tx, task.id).await? else {
        return Ok(None);
    };
    let is_at_work = attempt.state == AttemptState::Running && task.status.is_worked_on();
    let Some(started_at) = attempt.started_at.filter(|_| is_at_work) else {
        return Ok(None);
    };
    let spec = specs::get(tx, task.spec_id).await?;
    let time = AttemptTime {
        started_at,
        limit: attempt_limit(&task, &spec, limits),
    };
    Ok(Some(TimedAttempt {
        task,
        attempt,
        time,
    }))
}

/// The attempts at tasks that have had their time and do not end by themselves.
///
/// # Errors
/// When the database cannot be read.
pub async fn overdue_attempts(
    tx: &mut Tx,
    limits: WorkLimits,
) -> Result<Vec<TimedAttempt>, StoreError> {
    let mut overdue = Vec::new();
    for attempt in attempts::all_live(tx).await? {
        let at_task = attempt.subject.kind() == SubjectKind::Task;
        let Some(task) = attempt.subject.task_id().filter(|_| at_task) else {
            continue;
        };
        let task = tasks::get(tx, task).await?;
        let timed = timed_attempt(tx, limits, task).await?;
        overdue.extend(timed.filter(|timed| timed.time.is_overdue(tx.now())));
    }
    Ok(overdue)
}

/// Ends every overdue attempt as failed; each task is tried again as after any failure. Gives the tasks.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_timed_out(
    tenant: &Tenant,
    limits: WorkLimits,
    failures: &FailurePolicy,
) -> Result<Vec<Task>, StoreError> {
    let ended = tenant.write(CrashPoint::AttemptEnded, async |tx| {
        let mut ended = Vec::new();
        for mut timed in overdue_attempts(tx, limits).await? {
            let loss = timed.time.as_loss();
            lose_attempt(tx, failures, &mut timed.attempt, loss).await?;
            ended.push(tasks::get(tx, timed.task.id).await?);
        }
        Ok::<_, StoreError>(ended)
    });
    ended.await.inspect(|ended| {
        let n_ended = ended.len();
        info!(
            n_ended,
            "A person had {n_ended} attempts ended that were out of time"
        );
    })
}
