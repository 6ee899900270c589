//! Whether the disk below the data folder has room for work.
//!
//! With less than 5 % free nothing new is started, and what runs is let finish (spec/11 §12). It is no
//! fault of any task: nothing is counted against one, and work goes on when there is space again. A task
//! that is interrupted time and again waits for a person.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

use omoi_domain::attempt::{AttemptStopReason, AttemptSubject};
use omoi_domain::lifecycle::task::{DiskStoppedTask, disk_stopped_task};
use omoi_domain::time::Timestamp;
use omoi_git::layer::LayerFolder;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{LowDisk, SandboxLimits, low_disk};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tx, attempts};

use crate::deployment::{DeploymentParts, FromParts};
use crate::outage;
use crate::tasks::apply_to_task;

/// Time between two looks at a disk without room.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// What this process saw of the disk below its data folder. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct DataDisk {
    low_since: Arc<Mutex<Option<Timestamp>>>,
}

/// A disk that has had no room for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskShortage {
    /// When it was first seen so.
    pub since: Timestamp,
    /// How it is now.
    pub low: LowDisk,
}

/// Tells whether work may begin on the disk below the data folder.
#[derive(Clone)]
pub struct DiskRoom {
    /// What was seen before.
    pub disk: DataDisk,
    /// The data folder of this process.
    pub folder: PathBuf,
    /// Prepared layers below it.
    pub layers: PathBuf,
    /// How much must be free; none in a process that runs no work.
    pub limits: Option<SandboxLimits>,
    /// The clock of this process.
    pub clock: Clocked,
    /// Says when the process is to stop.
    pub lifecycle: LifecycleHandle,
}

impl FromParts for DiskRoom {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            disk: parts.disk.clone(),
            folder: parts.data.root_folder().to_path_buf(),
            layers: parts.data.layers_folder(),
            limits: parts.sandbox.is_some().then_some(parts.sandbox_limits),
            clock: parts.clock.clone(),
            lifecycle: parts.lifecycle.clone(),
        }
    }
}

impl DiskRoom {
    /// Looks at the disk below the data folder: none when work may begin, or when this process runs
    /// none.
    pub fn disk_shortage(&self) -> Option<DiskShortage> {
        let limits = self.limits.as_ref();
        let low = limits.and_then(|limits| low_disk(&self.folder, limits));
        let mut low_since = self
            .disk
            .low_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (*low_since, &low) {
            (None, Some(low)) => warn!(
                free_bytes = low.free_bytes,
                floor_bytes = low.floor_bytes,
                "The disk below the data folder is low; nothing new is begun"
            ),
            (Some(_), None) => info!("The disk below the data folder has room again"),
            _ => {}
        }
        *low_since = low.map(|_| low_since.unwrap_or_else(|| self.clock.now()));
        let (since, low) = (*low_since).zip(low)?;
        Some(DiskShortage { since, low })
    }

    /// As [`disk_shortage`](Self::disk_shortage), once prepared layers that nothing uses are gone, the oldest first:
    /// they can be made again, so work does not wait for their room.
    pub(crate) async fn lasting_shortage(&self) -> Option<DiskShortage> {
        while let Some(shortage) = self.disk_shortage() {
            let layers = LayerFolder::new(self.layers.clone());
            let removed = self
                .lifecycle
                .run_blocking("remove a layer", move || layers.remove_one());
            match removed.await {
                Ok(Ok(true)) => info!("Removed a prepared layer for room on the disk"),
                Ok(Ok(false)) => return Some(shortage),
                Ok(Err(error)) => {
                    warn!(%error, "Could not remove a prepared layer");
                    return Some(shortage);
                }
                Err(error) => {
                    warn!(error = %error_chain(&error), "Could not remove a prepared layer");
                    return Some(shortage);
                }
            }
        }
        None
    }

    /// Waits until the disk has room. False when the process is asked to stop first.
    pub(crate) async fn has_disk_room(&self) -> bool {
        let soft = self.lifecycle.soft_token();
        while self.lasting_shortage().await.is_some() {
            // Both are cancel-safe: a token and a timer.
            tokio::select! {
                () = soft.cancelled() => return false,
                () = self.clock.sleep(LOOK) => {}
            }
        }
        true
    }
}

/// Puts a task whose attempt a full disk interrupted back into the queue, or has it wait for a person
/// when that keeps happening. The attempt is over in `tx`; `description` is what the watcher saw.
pub(crate) async fn task_stopped(
    tx: &mut Tx,
    task: &mut Task,
    description: &str,
) -> Result<(), StoreError> {
    let subject = AttemptSubject::Task { task_id: task.id };
    let all = attempts::of_subject(tx, task.spec_id, subject).await?;
    let stopped = all
        .iter()
        .filter(|attempt| attempt.stop_reason == Some(AttemptStopReason::DiskLow));
    let stopped_at: Vec<Timestamp> = stopped.filter_map(|attempt| attempt.ended_at).collect();
    let resumed_at = outage::resumed_at(tx, task.spec_id, subject).await?;
    let actions = disk_stopped_task(DiskStoppedTask {
        status: task.status,
        stopped_at: &stopped_at,
        resumed_at,
        description,
    });
    apply_to_task(tx, task, actions).await
}
