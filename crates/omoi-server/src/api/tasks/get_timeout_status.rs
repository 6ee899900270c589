//! Tells how long an attempt may run.

use axum::Json;
use axum::extract::State;

use omoi_domain::id::HumanRef;
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::commands::{attempt_limit, timed_attempt};
use omoi_protocol::api::TaskTimeout;
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tx, specs};

use super::{ProjectOfTask, TaskPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tells how long attempts at a task may run, and how long the one at work has run.
#[utoipa::path(
    get, path = "/tasks/{task_id}/timeout-status", tag = "tasks", params(TaskPath, ProjectOfTask),
    responses((status = 200, description = "The time that attempts have.", body = TaskTimeout))
)]
pub(super) async fn get_task_timeout(
    caller: Allowed<needs::TaskRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(of): ApiQuery<ProjectOfTask>,
) -> Answer<TaskTimeout> {
    let task = caller.find_task(&path, &of).await?;
    let limits = s.parts.policy.limits;
    let read = caller
        .own_rows()
        .read(async |tx| timeout_of(tx, limits, task).await);
    Ok(Json(read.await?))
}

/// How long attempts at `task` may run, and how long the one at work has run.
pub(super) async fn timeout_of(
    tx: &mut Tx,
    limits: WorkLimits,
    task: Task,
) -> Result<TaskTimeout, StoreError> {
    let now = tx.now();
    let spec = specs::get(tx, task.spec_id).await?;
    let mut told = TaskTimeout {
        task_id: task.id,
        task_ref: HumanRef::task(task.number).to_string(),
        timeout_seconds: task.timeout_seconds,
        limit_seconds: attempt_limit(&task, &spec, limits).as_secs(),
        attempt_id: None,
        started_at: None,
        ends_at: None,
        elapsed_seconds: None,
        remaining_seconds: None,
        is_timed_out: false,
    };
    if let Some(timed) = timed_attempt(tx, limits, task).await? {
        let time = timed.time;
        told.attempt_id = Some(timed.attempt.id);
        told.started_at = Some(time.started_at.into());
        told.ends_at = Some(time.ends_at().into());
        told.elapsed_seconds = Some(now.seconds_since(time.started_at) as i64);
        told.remaining_seconds = Some((time.ends_at().seconds_since(now) as i64).max(0));
        told.is_timed_out = time.is_overdue(now);
    }
    Ok(told)
}
