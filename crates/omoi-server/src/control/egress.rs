//! What sandboxes asked for from outside.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};

use omoi_domain::id::{HumanRef, TaskId};
use omoi_protocol::control::EgressEntryView;
use omoi_store::egress_entries::{self, EgressEntry};
use omoi_store::{StoreError, Tx, attempts, tasks};

use super::find::{self, AskedReference, CallerRepository};
use super::{Answer, Surface};
use crate::error::ApiError;

pub(super) async fn list_egress(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
) -> Answer<Vec<EgressEntryView>> {
    let views = s.parts.store.read(async |tx| {
        let spec = find::spec(tx, AskedReference::to_read(&spec, &here)).await?;
        let tasks = tasks::of_spec(tx, spec.id).await?.into_iter();
        let references: HashMap<TaskId, String> = tasks
            .map(|task| (task.id, HumanRef::task(task.number).to_string()))
            .collect();
        let mut views = Vec::new();
        for entry in egress_entries::of_spec(tx, spec.id).await? {
            views.push(entry_view(tx, entry, &references).await?);
        }
        Ok::<_, ApiError>(views)
    });
    Ok(Json(views.await?))
}

async fn entry_view(
    tx: &mut Tx,
    entry: EgressEntry,
    references: &HashMap<TaskId, String>,
) -> Result<EgressEntryView, StoreError> {
    let attempt = attempts::get(tx, entry.attempt_id).await?;
    let task = attempt.subject.task_id();
    Ok(EgressEntryView {
        task_ref: task.and_then(|task| references.get(&task).cloned()),
        attempt_id: entry.attempt_id,
        outcome: entry.outcome,
        subject: entry.target,
        reason: entry.reason,
        detail: entry.detail,
        remedy: entry.remedy,
        digest: entry.digest,
        bytes: entry.bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        at: entry.created_at,
    })
}
