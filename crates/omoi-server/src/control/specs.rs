//! Operations on specs.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use omoi_delivery::{summary, trace};
use omoi_execution::spec_files::rendered_files;
use omoi_planning::commands;
use omoi_protocol::api::{
    CreateSpec, ExecutionStatus, ExportedFile, ResumeSpec, SpecDetail, SpecTrace, SpecView,
};
use omoi_store::specs::{self, Spec};

use super::find::{AskedReference, CallerRepository};
use super::spec_view::{spec_detail, spec_view};
use super::{Answer, ControlSurface, Surface, find};
use crate::error::{ApiError, JsonBody};

/// Most specs listed at once.
const LIST_MAX: i64 = 200;

pub(super) async fn create_spec(
    State(s): Surface,
    JsonBody(body): JsonBody<CreateSpec>,
) -> Answer<SpecView> {
    let spec = commands::create_spec(&s.parts.policy, s.repositories(), &s.tenant(), body).await?;
    answered(&s, spec).await
}

pub(super) async fn list_specs(State(s): Surface) -> Answer<Vec<SpecView>> {
    let views = s.parts.store.read(async |tx| {
        let mut views = Vec::new();
        for spec in specs::list(tx, LIST_MAX).await? {
            views.push(spec_view(tx, &s.parts.policy, spec).await?);
        }
        Ok::<_, ApiError>(views)
    });
    Ok(Json(views.await?))
}

/// What a spec is asked for.
#[derive(Deserialize)]
pub(super) struct SpecsFor {
    /// Something is to be done with it.
    #[serde(default)]
    act: bool,
}

pub(super) async fn get_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
    Query(query): Query<SpecsFor>,
) -> Answer<SpecView> {
    let asked = match query.act {
        true => AskedReference::to_act(&spec, &here),
        false => AskedReference::to_read(&spec, &here),
    };
    let spec = named(&s, asked).await?;
    answered(&s, spec).await
}

pub(super) async fn get_spec_detail(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<SpecDetail> {
    let detail = s.parts.store.read(async |tx| {
        let spec = find::spec(tx, AskedReference::to_read(&spec, &here)).await?;
        Ok::<_, ApiError>(spec_detail(tx, &s.parts.policy, spec).await?)
    });
    Ok(Json(detail.await?))
}

pub(super) async fn get_spec_summary(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<ExecutionStatus> {
    let id = named(&s, AskedReference::to_read(&spec, &here)).await?.id;
    let summary = summary::of_spec(&s.parts.store, &s.parts.repositories.folders, id).await?;
    Ok(Json(summary.into()))
}

pub(super) async fn trace_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<SpecTrace> {
    let id = named(&s, AskedReference::to_read(&spec, &here)).await?.id;
    Ok(Json(
        trace::of_spec(&s.parts.store, &s.parts.repositories.folders, id).await?,
    ))
}

pub(super) async fn export_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<Vec<ExportedFile>> {
    let spec = named(&s, AskedReference::to_read(&spec, &here)).await?;
    let files = rendered_files(&s.parts.renderer, &spec).await?;
    Ok(Json(
        files
            .into_iter()
            .map(|(path, text)| ExportedFile { path, text })
            .collect(),
    ))
}

pub(super) async fn approve_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<SpecView> {
    let id = named(&s, AskedReference::to_act(&spec, &here)).await?.id;
    let spec = commands::approve_spec(&s.parts.policy.selection, &s.tenant(), id).await?;
    answered(&s, spec).await
}

pub(super) async fn resume_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
    JsonBody(body): JsonBody<ResumeSpec>,
) -> Answer<SpecView> {
    let id = named(&s, AskedReference::to_act(&spec, &here)).await?.id;
    let spec = commands::resume_spec(&s.parts.policy, &s.tenant(), id, body).await?;
    answered(&s, spec).await
}

pub(super) async fn deliver_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<SpecView> {
    let id = named(&s, AskedReference::to_act(&spec, &here)).await?.id;
    let spec = commands::deliver_spec(&s.parts.policy.selection, &s.tenant(), id).await?;
    answered(&s, spec).await
}

pub(super) async fn cancel_spec(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<SpecView> {
    let id = named(&s, AskedReference::to_act(&spec, &here)).await?.id;
    let spec = commands::cancel_spec(&s.tenant(), id).await?;
    answered(&s, spec).await
}

async fn named(s: &ControlSurface, asked: AskedReference<'_>) -> Result<Spec, ApiError> {
    s.tenant()
        .read(async |tx| find::spec(tx, asked).await)
        .await
}

async fn answered(s: &ControlSurface, spec: Spec) -> Answer<SpecView> {
    let view = s
        .parts
        .store
        .read(async |tx| spec_view(tx, &s.parts.policy, spec).await);
    Ok(Json(view.await?))
}
