//! Ends what is stale, lost or out of time, takes up what a dead process left behind (attempts,
//! sandboxes, model calls), and removes what nobody needs any more.

use std::time::Duration;

use futures::future::BoxFuture;
use tracing::{info, trace, warn};

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::attempt::{
    AttemptHolder, AttemptLiveness, LeftSandbox, SandboxStep, TaskHolder, WorkerTimeouts,
    is_called_off, reap_attempt, reap_sandbox,
};
use omoi_domain::time::Timestamp;
use omoi_git::mirror::base_stores;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_sandbox::Provider;
use omoi_store::approvals::Approval;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{
    StoreError, Tenant, Tx, approvals, open_calls, operations, projects, sandboxes, specs, tasks,
};

use crate::attempt::{end_sandbox, lose_attempt};
use crate::commands::{end_left_operation, expire_approval};
use crate::commit_workspace::clear_layers;
use crate::consume::EventConsumer;
use crate::deployment::{DeploymentParts, FromParts};
use crate::failure_policy::FailurePolicy;
use crate::metering::{CallLedger, settle_left_call};
use crate::repository_folders::{DataDir, RepositoryFolders};
use crate::running_attempts::RunningAttempts;
use crate::sandbox_host::remove_or_tell;

/// How often rows are looked at.
const PERIOD: Duration = Duration::from_secs(3);
/// Time without work after which a running worker is stuck.
const STUCK_TIME: Duration = Duration::from_mins(15);

/// Time between the request to stop and the kill.
const GRACE: Duration = Duration::from_secs(10);

/// The reaper of one process.
pub struct Reaper {
    store: Tenant,
    folders: RepositoryFolders,
    running: RunningAttempts,
    lifecycle: LifecycleHandle,
    owner: String,
    timeouts: WorkerTimeouts,
    failures: FailurePolicy,
    ledger: CallLedger,
}

impl FromParts for Reaper {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            running: parts.running.clone(),
            lifecycle: parts.lifecycle.clone(),
            owner: parts.owner.clone(),
            timeouts: WorkerTimeouts {
                start: parts.monitoring.start_timeout,
                heartbeat: parts.monitoring.heartbeat_timeout,
                stuck: STUCK_TIME,
            },
            failures: FailurePolicy::from_parts(parts),
            ledger: CallLedger::from_parts(parts),
        }
    }
}

impl Reaper {
    async fn run_pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let live = self
            .store
            .read(async |tx| attempts::all_live(tx).await)
            .await?;
        trace!(n_live = live.len(), "Looking at live attempts");
        let mut has_open = !live.is_empty();
        for attempt in live {
            let entity = format!("attempt {}", attempt.id);
            entities.give_turn(now, entity, self.reap(attempt)).await;
        }
        let open = self
            .store
            .read(async |tx| sandboxes::all_live(tx).await)
            .await?;
        has_open |= !open.is_empty();
        for sandbox in open {
            let entity = format!("sandbox {}", sandbox.id);
            let turn = async { Ok(self.end_sandbox(sandbox.attempt_id).await?) };
            entities.give_turn(now, entity, turn).await;
        }
        let calls = self
            .store
            .read(async |tx| open_calls::all(tx).await)
            .await?;
        has_open |= !calls.is_empty();
        for call in calls {
            let entity = format!("model call {}", call.id);
            let turn = async { Ok(settle_left_call(&self.ledger, &call).await?) };
            entities.give_turn(now, entity, turn).await;
        }
        let mut pending = self
            .store
            .read(async |tx| approvals::list_pending(tx).await)
            .await?;
        let is_due = |asked: &Approval| asked.deadline_at.is_some_and(|at| at <= now);
        let waiting = pending.split_off(pending.partition_point(is_due));
        has_open |= !pending.is_empty();
        for approval in pending {
            let entity = format!("approval {}", approval.id);
            let turn = async { Ok(expire_approval(&self.store, approval.id).await?) };
            entities.give_turn(now, entity, turn).await;
        }
        let operations = self
            .store
            .read(async |tx| operations::list_running(tx).await)
            .await?;
        has_open |= !operations.is_empty();
        for operation in operations.iter().filter(|one| one.lease_until <= now) {
            let entity = format!("operation {}", operation.id);
            let turn = async { Ok(end_left_operation(&self.store, operation.id).await?) };
            entities.give_turn(now, entity, turn).await;
        }
        entities
            .give_turn(now, "base stores".to_owned(), self.remove_base_stores())
            .await;
        let next_due = waiting.first().and_then(|asked| asked.deadline_at);
        Ok(match (has_open, next_due) {
            (true, _) => Next::At(now + PERIOD),
            (false, Some(at)) => Next::At(at),
            (false, None) => Next::Idle,
        })
    }

    /// Removes the histories that were set apart for specs of the organisation that have ended.
    async fn remove_base_stores(&self) -> Result<(), BoxError> {
        let data = &self.folders.data;
        let own = self
            .store
            .read(async |tx| projects::project_ids(tx).await)
            .await?;
        let mut kept = Vec::new();
        for project in data.mirrored_projects()? {
            if own.contains(&project) && !base_stores(&data.mirror_path(project))?.is_empty() {
                kept.push(project);
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let open = self
            .store
            .read(async |tx| specs::open_bases(tx).await)
            .await?;
        let mut mirrors = Vec::new();
        for project in kept {
            mirrors.push((project, self.folders.project_mirror(project).await?));
        }
        // The packs of a large history take the disk a while to forget.
        let lifecycle = &self.lifecycle;
        let removed = lifecycle.run_blocking("remove base stores", move || {
            mirrors.iter().try_for_each(|(project, mirror)| {
                let needed = |base: &ObjectId| open.contains(&(*project, base.as_str().to_owned()));
                mirror.remove_base_stores(needed)
            })
        });
        Ok(removed.await??)
    }

    /// Ends the sandbox of an attempt that is over and that nobody follows any more.
    async fn end_sandbox(&self, attempt: AttemptId) -> Result<(), StoreError> {
        let end = async |tx: &mut Tx| {
            let mut attempt = attempts::get(tx, attempt).await?;
            let left = LeftSandbox {
                is_live: attempt.state.is_live(),
                is_followed: self.running.contains(attempt.id),
                over_for: attempt.ended_at.map(|at| tx.now().since(at)),
            };
            match reap_sandbox(left, GRACE) {
                SandboxStep::Leave => {}
                SandboxStep::Kill => self.running.kill_sandbox(attempt.id),
                SandboxStep::End => end_sandbox(tx, &mut attempt).await?,
            }
            Ok(())
        };
        self.store.write(CrashPoint::SandboxEnded, end).await
    }

    /// Ends one attempt if it is over in truth.
    async fn reap(&self, seen: Attempt) -> Result<(), BoxError> {
        let is_followed = self.running.contains(seen.id);
        let reap = async |tx: &mut Tx| -> Result<_, StoreError> {
            let mut attempt = attempts::get(tx, seen.id).await?;
            // Installing packages has limits of its own: the worker's time begins afterwards.
            let prepared_at = self.running.preparing_seen_at(attempt.id, tx.now());
            let liveness = AttemptLiveness {
                subject_kind: attempt.subject.kind(),
                state: attempt.state,
                created_at: prepared_at.unwrap_or(attempt.created_at),
                last_heartbeat_at: attempt.last_heartbeat_at,
                last_work_at: attempt.last_work_at,
                is_asking: !open_calls::of_attempt(tx, attempt.id).await?.is_empty(),
                lease_expires_at: attempt.lease_expires_at,
                is_own: attempt.owner == self.owner,
                is_followed,
                is_cancelled: is_called_off(attempt_holder(tx, &attempt).await?),
            };
            let loss = reap_attempt(liveness, self.timeouts, tx.now());
            if let Some(loss) = &loss {
                lose_attempt(tx, &self.failures, &mut attempt, loss.clone()).await?;
            }
            Ok(loss)
        };
        let loss = self.store.write(CrashPoint::AttemptEnded, reap).await?;
        let Some(loss) = loss else { return Ok(()) };
        warn!(
            attempt.id = %seen.id, reason = %loss.stop_reason, class = %loss.class, is_followed,
            "Ended attempt `{}`", seen.id
        );
        let is_asked = loss.state == AttemptState::Interrupted;
        if !(is_asked && self.running.interrupt_worker(seen.id)) {
            self.running.kill_sandbox(seen.id);
        }
        Ok(())
    }
}

/// Removes what an earlier life of this process left in its data folder: sandboxes that still run,
/// and their workspaces. To be called before anything is started there. A workspace that cannot be removed stays
/// until the next start, which is told: its name is used by no one else.
///
/// # Errors
/// When a sandbox cannot be ended or the folder of workspaces cannot be read.
pub fn clear_away(provider: &dyn Provider, data: &DataDir) -> Result<(), BoxError> {
    for name in provider.list_orphans()? {
        warn!(sandbox = %name, "Destroying orphan `{name}`");
        provider.destroy_sandbox(&name)?;
    }
    let mut n_removed = 0;
    for entry in std::fs::read_dir(data.work_folder())? {
        n_removed += u32::from(remove_or_tell(provider, &entry?.path()));
    }
    clear_layers(&data.layers_folder())?;
    for socket in data.setup_sockets()? {
        std::fs::remove_file(socket)?;
    }
    if n_removed > 0 {
        info!(
            n_removed,
            "Removed {n_removed} workspaces of an earlier process"
        );
    }
    Ok(())
}

/// What an attempt works on, as it stands now.
async fn attempt_holder(tx: &mut Tx, attempt: &Attempt) -> Result<AttemptHolder, StoreError> {
    let spec = specs::get(tx, attempt.spec_id).await?.status;
    let task = match attempt.subject {
        AttemptSubject::Task { task_id } => {
            let task = tasks::get(tx, task_id).await?;
            Some(TaskHolder {
                status: task.status,
                is_superseded: task.fence != attempt.fence,
            })
        }
        _ => None,
    };
    Ok(AttemptHolder { spec, task })
}

impl EventConsumer for Reaper {
    fn consumer(&self) -> Consumer {
        Consumer::Reaper
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}
