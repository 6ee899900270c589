//! Tasks as people see them, and what they may ask of one.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use omoi_delivery::trace::receipt_view;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::message::MessageSender;
use omoi_domain::task::TaskStatus;
use omoi_execution::integration::wip_ref;
use omoi_planning::commands::{CommandError, retry_task as retry};
use omoi_protocol::control::{AttemptView, Steer, TaskDetail, TaskView};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, attempts, checks, messages, projects, sandboxes, specs, tickets};

use super::find::{Asked, Here};
use super::{Answer, Surface, find};
use crate::error::{ApiError, Given};

/// Characters of a message to an agent.
const MESSAGE_BYTES_MAX: usize = 10 << 10;

#[derive(Deserialize)]
pub(super) struct OfSpec {
    spec: Option<String>,
}

pub(super) async fn list_tasks(
    State(s): Surface,
    here: Here,
    Query(query): Query<OfSpec>,
) -> Answer<Vec<TaskView>> {
    let mut tx = s.platform.store.begin_read().await?;
    let spec = match query.spec {
        Some(text) => find::spec(&mut tx, Asked::to_read(&text, &here)).await?,
        None => match find::newest_spec(&mut tx, &here).await? {
            Some(newest) => newest,
            None => return Ok(Json(Vec::new())),
        },
    };
    Ok(Json(task_views(&mut tx, &spec).await?))
}

pub(super) async fn get_task(
    State(s): Surface,
    here: Here,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let mut tx = s.platform.store.begin_read().await?;
    let task = find::task(&mut tx, Asked::to_read(&task, &here)).await?;
    Ok(Json(one(&mut tx, &task).await?))
}

pub(super) async fn get_task_detail(
    State(s): Surface,
    here: Here,
    Path(task): Path<String>,
) -> Answer<TaskDetail> {
    let mut tx = s.platform.store.begin_read().await?;
    let task = find::task(&mut tx, Asked::to_read(&task, &here)).await?;
    let all = tasks::of_spec(&mut tx, task.spec_id).await?;
    let every = checks::of_spec(&mut tx, task.spec_id).await?;
    let mut views = Vec::new();
    let tries = attempts::of_task(&mut tx, task.id).await?;
    for attempt in &tries {
        let mounts = match sandboxes::of_attempt(&mut tx, attempt.id).await {
            Ok(sandbox) => sandbox.mounts.0,
            // Attempts of the platform have none of their own.
            Err(StoreError::NotFound { .. }) => Vec::new(),
            Err(other) => return Err(other.into()),
        };
        views.push(AttemptView {
            id: attempt.id,
            attempt_no: attempt.attempt_no,
            round: attempt.round,
            role: attempt.role,
            state: attempt.state,
            rung: attempt.rung,
            mounts,
            stop_reason: attempt.stop_reason,
            error: attempt.error_message.clone(),
            turns: attempts::turns(&mut tx, attempt.id).await?.len() as u32,
            created_at: attempt.created_at,
            ended_at: attempt.ended_at,
        });
    }
    let receipts = checks::receipts_of_task(&mut tx, task.id)
        .await?
        .iter()
        .filter_map(|r| {
            Some(receipt_view(
                every.iter().find(|c| c.id == r.check_id)?,
                r,
                &all,
            ))
        })
        .collect();
    let wip_ref = tries
        .iter()
        .rfind(|a| a.wip_sha.is_some())
        .and_then(|a| wip_ref(a.id).ok())
        .map(|name| name.as_str().to_owned());
    let detail = TaskDetail {
        description: task.description.clone(),
        attempts: views,
        receipts,
        wip_ref,
        task: one(&mut tx, &task).await?,
    };
    Ok(Json(detail))
}

pub(super) async fn retry_task(
    State(s): Surface,
    here: Here,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let mut tx = s.platform.store.begin_write().await?;
    let mut task = find::task(&mut tx, Asked::to_act(&task, &here)).await?;
    let before = task.status;
    let why = "only one that failed, was cancelled or waits is tried again";
    match retry(&s.platform, &mut tx, &mut task).await {
        Ok(()) => {}
        Err(CommandError::Store(refused)) => return Err(not_now(&task, before, why, refused)),
        Err(refused) => return Err(refused.into()),
    }
    let view = one(&mut tx, &task).await?;
    tx.commit(CrashPoint::TaskMoved).await?;
    Ok(Json(view))
}

pub(super) async fn cancel_task(
    State(s): Surface,
    here: Here,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let mut tx = s.platform.store.begin_write().await?;
    let mut task = find::task(&mut tx, Asked::to_act(&task, &here)).await?;
    let before = task.status;
    let cancelled =
        omoi_execution::tasks::cancel(&mut tx, &mut task, "cancelled by a person").await;
    cancelled.map_err(|e| not_now(&task, before, "it is over already", e))?;
    let view = one(&mut tx, &task).await?;
    tx.commit(CrashPoint::TaskMoved).await?;
    Ok(Json(view))
}

pub(super) async fn steer_task(
    State(s): Surface,
    here: Here,
    Path(task): Path<String>,
    Given(body): Given<Steer>,
) -> Result<StatusCode, ApiError> {
    if body.content.trim().is_empty() || body.content.len() > MESSAGE_BYTES_MAX {
        let says = format!("a message has 1 to {MESSAGE_BYTES_MAX} bytes");
        return Err(ApiError::bad_request(says));
    }
    let mut tx = s.platform.store.begin_write().await?;
    let task = find::task(&mut tx, Asked::to_act(&task, &here)).await?;
    if task.status.is_final() {
        let says = format!("{} is {}", HumanRef::task(task.number), task.status);
        return Err(ApiError::new(StatusCode::CONFLICT, "task_is_over", says));
    }
    messages::queue(
        &mut tx,
        &task,
        body.message_type,
        &body.content,
        MessageSender::User,
    )
    .await?;
    tx.commit(CrashPoint::MessagesMoved).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A move that a task in its state cannot make, in words for people.
fn not_now(task: &Task, status: TaskStatus, why: &str, error: StoreError) -> ApiError {
    match error {
        StoreError::Transition(_) => {
            let says = format!("{} is {status}: {why}", HumanRef::task(task.number));
            ApiError::new(StatusCode::CONFLICT, "invalid_transition", says)
                .hint("`omoi task list` shows where each task stands")
        }
        other => other.into(),
    }
}

async fn one(tx: &mut Tx, task: &Task) -> Result<TaskView, StoreError> {
    let spec = specs::get(tx, task.spec_id).await?;
    let views = task_views(tx, &spec).await?;
    let found = views.into_iter().find(|view| view.id == task.id);
    found.ok_or_else(|| StoreError::NotFound {
        what: "task",
        key: task.id.to_string(),
    })
}

/// Every task of a spec as people see it.
pub(super) async fn task_views(tx: &mut Tx, spec: &Spec) -> Result<Vec<TaskView>, StoreError> {
    let all = tasks::of_spec(tx, spec.id).await?;
    let groups = tickets::of_spec(tx, spec.id).await?;
    let edges = tasks::dependencies(tx, spec.id).await?;
    let names = projects::names(tx).await?;
    let name = |id: TaskId| {
        all.iter()
            .find(|t| t.id == id)
            .map(|t| HumanRef::task(t.number).to_string())
    };
    Ok(all
        .iter()
        .map(|task| TaskView {
            id: task.id,
            task_ref: HumanRef::task(task.number).to_string(),
            ticket_ref: groups
                .iter()
                .find(|ticket| ticket.id == task.ticket_id)
                .map(|ticket| HumanRef::ticket(ticket.number).to_string())
                .unwrap_or_default(),
            spec_ref: HumanRef::spec(spec.number).to_string(),
            name: names.reference(task.project_id, HumanRef::task(task.number)),
            spec_name: names.reference(task.project_id, HumanRef::spec(spec.number)),
            title: task.title.clone(),
            task_type: task.task_type,
            phase: task.phase_id,
            priority: task.priority,
            status: task.status,
            integration_state: task.integration_state,
            round: task.round,
            depends_on: edges
                .iter()
                .filter(|(dependent, _)| *dependent == task.id)
                .filter_map(|(_, on)| name(*on))
                .collect(),
            found_by: task.parent_task_id.and_then(name),
            needed: task.needed,
            branch: task.branch.clone(),
            head_sha: task.head_sha.clone(),
            requirements: task.requirements.0.clone(),
            blocked_by: task.blocked_by,
            problem: task
                .error_message
                .clone()
                .or_else(|| task.blocked_reason.clone()),
            summary: task.summary.clone(),
        })
        .collect())
}
