//! Tells how this process does.

use axum::Json;
use axum::extract::State;

use omoi_execution::disk_room::DiskShortage;
use omoi_protocol::api::{DiskStall, FailingEntity, LoopStatus, ProcessStatus};
use omoi_runtime::reconcile::StatusReader;

use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{ApiParts, Surface};

/// Tells how the process that answers does: its roles, models, loops, and what stands still.
#[utoipa::path(
    get, path = "/admin/status", tag = "admin",
    responses((status = 200, description = "The process.", body = ProcessStatus))
)]
pub(super) async fn get_status(
    _: AccountCaller<needs::PlatformStaff>,
    State(surface): Surface,
) -> Json<ProcessStatus> {
    Json(ProcessStatus {
        loops: surface.reconcilers.iter().map(loop_status).collect(),
        stall: disk_stall(&surface.parts),
        ..surface.status.clone()
    })
}

pub(super) fn disk_stall(parts: &ApiParts) -> Option<DiskStall> {
    let for_ms = |since| parts.clock.now().since(since).as_millis() as u64;
    if let Some(stalled) = parts.store.store().stalled() {
        return Some(DiskStall {
            ms: for_ms(stalled.since),
            reason: "the disk of the database is full or takes no writes".to_owned(),
        });
    }
    let DiskShortage { since, low } = parts.disk.disk_shortage()?;
    let mib = |bytes: u64| bytes >> 20;
    // What runs is let finish, however long it takes.
    let ms = match parts.running.has_sandboxes() {
        true => 0,
        false => for_ms(since),
    };
    Some(DiskStall {
        ms,
        reason: format!(
            "the disk below `{}` has {} MiB free, and work begins with {} MiB",
            parts.disk.folder.display(),
            mib(low.free_bytes),
            mib(low.floor_bytes)
        ),
    })
}

pub(super) fn loop_status(reader: &StatusReader) -> LoopStatus {
    let status = reader.read();
    let entities = status.entities.into_iter().map(|failure| FailingEntity {
        entity: failure.entity,
        failing: failure.failing,
        retry_at: failure.retry_at.into(),
        error: failure.error,
    });
    LoopStatus {
        name: status.name.to_owned(),
        failing: status.failing,
        error: status.last_error.filter(|_| status.failing > 0),
        entities: entities.collect(),
    }
}
