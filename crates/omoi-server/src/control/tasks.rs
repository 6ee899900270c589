//! Operations on tasks.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use omoi_execution::commands::{cancel_task as cancel, steer_task as steer};
use omoi_planning::commands::retry_task as retry;
use omoi_protocol::api::{SteerTask, TaskDetail, TaskView};
use omoi_store::tasks::Task;

use super::find::{AskedReference, CallerRepository};
use super::task_view::{task_detail, task_view, task_views};
use super::{Answer, ControlSurface, Surface, find};
use crate::error::{ApiError, JsonBody};

#[derive(Deserialize)]
pub(super) struct OfSpec {
    spec: Option<String>,
}

pub(super) async fn list_tasks(
    State(s): Surface,
    here: CallerRepository,
    Query(query): Query<OfSpec>,
) -> Answer<Vec<TaskView>> {
    let views = s.parts.store.read(async |tx| {
        let spec = match &query.spec {
            Some(text) => find::spec(tx, AskedReference::to_read(text, &here)).await?,
            None => match find::newest_spec(tx, &here).await? {
                Some(newest) => newest,
                None => return Ok(Vec::new()),
            },
        };
        Ok::<_, ApiError>(task_views(tx, &spec).await?)
    });
    Ok(Json(views.await?))
}

pub(super) async fn get_task(
    State(s): Surface,
    here: CallerRepository,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let task = named(&s, AskedReference::to_read(&task, &here)).await?;
    answered(&s, &task).await
}

pub(super) async fn get_task_detail(
    State(s): Surface,
    here: CallerRepository,
    Path(task): Path<String>,
) -> Answer<TaskDetail> {
    let detail = s.parts.store.read(async |tx| {
        let task = find::task(tx, AskedReference::to_read(&task, &here)).await?;
        Ok::<_, ApiError>(task_detail(tx, &task).await?)
    });
    Ok(Json(detail.await?))
}

pub(super) async fn retry_task(
    State(s): Surface,
    here: CallerRepository,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let id = named(&s, AskedReference::to_act(&task, &here)).await?.id;
    let task = retry(&s.parts.policy.selection, &s.tenant(), id).await?;
    answered(&s, &task).await
}

pub(super) async fn cancel_task(
    State(s): Surface,
    here: CallerRepository,
    Path(task): Path<String>,
) -> Answer<TaskView> {
    let id = named(&s, AskedReference::to_act(&task, &here)).await?.id;
    let task = cancel(&s.tenant(), id).await?;
    answered(&s, &task).await
}

pub(super) async fn steer_task(
    State(s): Surface,
    here: CallerRepository,
    Path(task): Path<String>,
    JsonBody(body): JsonBody<SteerTask>,
) -> Result<StatusCode, ApiError> {
    let id = named(&s, AskedReference::to_act(&task, &here)).await?.id;
    steer(&s.tenant(), id, &body).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn named(s: &ControlSurface, asked: AskedReference<'_>) -> Result<Task, ApiError> {
    s.tenant()
        .read(async |tx| find::task(tx, asked).await)
        .await
}

async fn answered(s: &ControlSurface, task: &Task) -> Answer<TaskView> {
    let view = s.parts.store.read(async |tx| task_view(tx, task).await);
    Ok(Json(view.await?))
}
