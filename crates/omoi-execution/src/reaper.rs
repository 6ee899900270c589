//! Ends what is stale, lost or out of time, takes up what a dead process left behind (attempts,
//! sandboxes, model calls), and removes what nobody needs any more.

use std::time::Duration;

use futures::future::BoxFuture;
use tracing::warn;

use omoi_domain::attempt::{AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::AttemptId;
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TaskStatus;
use omoi_domain::time::Timestamp;
use omoi_git::mirror::base_stores;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, open_calls, sandboxes, specs, tasks};

use crate::attempt::{Loss, end_sandbox, lose};
use crate::consume::Consume;
use crate::metering::settle_left_call;
use crate::platform::Platform;

/// How often rows are looked at.
const PERIOD: Duration = Duration::from_secs(3);

/// Time between the request to stop and the kill.
const GRACE: Duration = Duration::from_secs(10);

/// The reaper of one process.
pub struct Reaper {
    platform: Platform,
}

impl Reaper {
    /// A reaper on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let live = {
            let mut tx = self.platform.store.begin_read().await?;
            attempts::all_live(&mut tx).await?
        };
        for attempt in live {
            let entity = format!("attempt {}", attempt.id);
            entities.turn(now, entity, self.judge(attempt)).await;
        }
        let open = {
            let mut tx = self.platform.store.begin_read().await?;
            sandboxes::all_live(&mut tx).await?
        };
        for sandbox in open {
            let entity = format!("sandbox {}", sandbox.id);
            let turn = async { Ok(self.end_sandbox(sandbox.attempt_id).await?) };
            entities.turn(now, entity, turn).await;
        }
        let calls = {
            let mut tx = self.platform.store.begin_read().await?;
            open_calls::all(&mut tx).await?
        };
        for call in calls {
            let entity = format!("model call {}", call.id);
            let turn = async { Ok(settle_left_call(&self.platform, &call).await?) };
            entities.turn(now, entity, turn).await;
        }
        entities
            .turn(now, "base stores".to_owned(), self.remove_base_stores())
            .await;
        Ok(Next::At(now + PERIOD))
    }

    /// Removes the histories that were set apart for specs that have ended.
    async fn remove_base_stores(&self) -> Result<(), BoxError> {
        let data = &self.platform.data;
        let mut kept = Vec::new();
        for project in data.mirrored()? {
            if !base_stores(&data.mirror(project))?.is_empty() {
                kept.push(project);
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let open = {
            let mut tx = self.platform.store.begin_read().await?;
            specs::open_bases(&mut tx).await?
        };
        let mut mirrors = Vec::new();
        for project in kept {
            mirrors.push((project, self.platform.mirror(project).await?));
        }
        // The packs of a large history take the disk a while to forget.
        let lifecycle = &self.platform.lifecycle;
        let removed = lifecycle.blocking("remove base stores", move || {
            mirrors.iter().try_for_each(|(project, mirror)| {
                let needed = |base: &ObjectId| open.contains(&(*project, base.as_str().to_owned()));
                mirror.remove_base_stores(needed)
            })
        });
        Ok(removed.await??)
    }

    /// Ends the sandbox of an attempt that is over and that nobody follows any more.
    async fn end_sandbox(&self, attempt: AttemptId) -> Result<(), StoreError> {
        let platform = &self.platform;
        let mut tx = platform.store.begin_write().await?;
        let attempt = attempts::get(&mut tx, attempt).await?;
        let ours = platform.running.contains(attempt.id);
        let over_since = attempt.ended_at.filter(|_| !attempt.state.is_live());
        if ours && over_since.is_some_and(|at| tx.now().since(at) >= GRACE) {
            // It was asked, or has told its end, and does not go.
            platform.running.kill(attempt.id);
        }
        if attempt.state.is_live() || ours {
            return Ok(());
        }
        end_sandbox(&mut tx, &attempt).await?;
        tx.commit(CrashPoint::SandboxEnded).await
    }

    /// Ends one attempt if it is over in truth.
    async fn judge(&self, seen: Attempt) -> Result<(), BoxError> {
        let platform = &self.platform;
        let ours = platform.running.contains(seen.id);
        let mut tx = platform.store.begin_write().await?;
        let mut attempt = attempts::get(&mut tx, seen.id).await?;
        if !attempt.state.is_live() {
            return Ok(());
        }
        let now = tx.now();
        // The lock of the data folder says who lives, and this process has it: whoever else began
        // the attempt is gone, whatever its lease says.
        let orphaned = attempt.owner != platform.owner;
        let vanished = attempt.owner == platform.owner && !ours && attempt.lease_expires_at <= now;
        let called_off = match attempt.subject {
            AttemptSubject::Task { .. } => called_off(&mut tx, &attempt).await?,
            _ => spec_called_off(&mut tx, &attempt).await?,
        };
        let loss = if orphaned || vanished {
            Some(lost())
        } else if called_off {
            Some(interrupted())
        } else {
            self.silent(&attempt, now)
        };
        let Some(loss) = loss else { return Ok(()) };
        warn!(attempt.id = %attempt.id, reason = %loss.stop_reason, "Ending attempt `{}`", attempt.id);
        let asked = loss.state == AttemptState::Interrupted;
        lose(&mut tx, platform, &mut attempt, loss).await?;
        tx.commit(CrashPoint::AttemptEnded).await?;
        if !(asked && platform.running.interrupt(attempt.id)) {
            platform.running.kill(attempt.id);
        }
        Ok(())
    }

    /// A worker that does not come up, went silent, or does nothing.
    fn silent(&self, attempt: &Attempt, now: Timestamp) -> Option<Loss> {
        let settings = &self.platform.settings;
        if attempt.subject.kind().is_of_platform() {
            return None;
        }
        let (class, stop_reason, since, limit) = match attempt.state {
            AttemptState::Running => {
                let beat = attempt.last_heartbeat_at.unwrap_or(attempt.created_at);
                let work = attempt.last_work_at.unwrap_or(attempt.created_at);
                if now.since(beat) > settings.heartbeat_timeout {
                    (
                        ErrorClass::Heartbeat,
                        AttemptStopReason::HeartbeatTimeout,
                        beat,
                        settings.heartbeat_timeout,
                    )
                } else {
                    (
                        ErrorClass::Stuck,
                        AttemptStopReason::StuckRunning,
                        work,
                        settings.stuck_timeout,
                    )
                }
            }
            _ => (
                ErrorClass::ProvisionFailed,
                AttemptStopReason::StartTimeout,
                attempt.created_at,
                settings.start_timeout,
            ),
        };
        (now.since(since) > limit).then(|| Loss {
            state: AttemptState::Failed,
            stop_reason,
            class,
            message: format!("no sign of the worker for {} s", limit.as_secs()),
            counts: true,
        })
    }
}

/// Removes what an earlier life of this process left in its data folder: sandboxes that still run,
/// and their workspaces. To be called before anything is started there.
///
/// # Errors
/// When a sandbox cannot be ended or a workspace cannot be removed.
pub fn clear_away(platform: &Platform) -> Result<(), BoxError> {
    let Some(provider) = &platform.sandbox else {
        return Ok(());
    };
    for name in provider.orphans()? {
        warn!(sandbox = %name, "Destroying orphan `{name}`");
        provider.destroy(&name)?;
    }
    for entry in std::fs::read_dir(platform.data.work())? {
        provider.remove_workspace(&entry?.path())?;
    }
    Ok(())
}

async fn called_off(tx: &mut omoi_store::Tx, attempt: &Attempt) -> Result<bool, StoreError> {
    let Some(id) = attempt.subject.task_id() else {
        return Ok(false);
    };
    let task = tasks::get(tx, id).await?;
    Ok(task.status == TaskStatus::Cancelled
        || task.fence != attempt.fence
        || spec_called_off(tx, attempt).await?)
}

async fn spec_called_off(tx: &mut omoi_store::Tx, attempt: &Attempt) -> Result<bool, StoreError> {
    use omoi_domain::spec::SpecStatus;
    let spec = specs::get(tx, attempt.spec_id).await?;
    Ok(spec.status == SpecStatus::Cancelled)
}

fn lost() -> Loss {
    Loss {
        state: AttemptState::Lost,
        stop_reason: AttemptStopReason::PlatformRestarted,
        class: ErrorClass::SandboxLost,
        message: "the process that ran it is gone".to_owned(),
        counts: false,
    }
}

fn interrupted() -> Loss {
    Loss {
        state: AttemptState::Interrupted,
        stop_reason: AttemptStopReason::Cancelled,
        class: ErrorClass::Unknown,
        message: "it was called off".to_owned(),
        counts: false,
    }
}

impl Consume for Reaper {
    fn consumer(&self) -> Consumer {
        Consumer::Reaper
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.pass(now, entities))
    }
}
