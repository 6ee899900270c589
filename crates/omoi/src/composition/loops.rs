//! What an orchestrator runs for as long as it lives.

use std::sync::Arc;

use anyhow::anyhow;

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::Merger;
use omoi_delivery::validator::Validator;
use omoi_domain::event::Consumer;
use omoi_execution::blocker_sweep::{BlockerSweep, SWEEP_PERIOD};
use omoi_execution::consume::{self, ConsumerFactory, ConsumerRuntime};
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::janitor::Janitor;
use omoi_execution::reaper::{Reaper, clear_away};
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{DeploymentParts, FromParts as _};
use omoi_planning::planner::Planner;
use omoi_runtime::bus::Bus;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::reconcile::{ReconcileDriver, StatusReader};
use omoi_server::worker::WorkerSurface;

use super::{ProcessRoles, listeners};

/// Tells other processes of commits; in an orchestrator, also answers workers and starts the reconcilers, and returns what
/// tells how they are.
pub(super) fn start_loops(
    roles: ProcessRoles,
    parts: &DeploymentParts,
    surface: WorkerSurface,
    bus: &Arc<dyn Bus>,
) -> anyhow::Result<Vec<StatusReader>> {
    consume::publish_commits(parts.store.store(), &parts.lifecycle, bus);
    if !roles.orchestrator {
        return Ok(Vec::new());
    }
    let listener = listeners::bind_socket(&parts.data.worker_socket(), 0o666)?;
    // Agents submit what they have when the process is to stop.
    let (running, lifecycle) = (parts.running.clone(), parts.lifecycle.clone());
    let work_ended = async move { running.work_ended(&lifecycle).await };
    let served = omoi_server::worker_socket::serve_workers(listener, surface, work_ended);
    let served = async move {
        served.await;
        Ok(())
    };
    parts
        .lifecycle
        .spawn("worker socket", SpawnKind::Critical, served);
    if let Some(provider) = &parts.sandbox {
        clear_away(provider.as_ref(), &parts.data).map_err(|error| anyhow!(error))?;
    }
    let runtime = ConsumerRuntime::from_parts(parts);
    let mut readers = consume::start_consumers(&runtime, bus, loop_consumers(parts));
    readers.push(start_janitor(parts));
    readers.push(start_blocker_sweep(parts));
    Ok(readers)
}

/// Starts what removes rows whose time is over.
fn start_janitor(parts: &DeploymentParts) -> StatusReader {
    let folders = RepositoryFolders::from_parts(parts);
    let janitor = Janitor::new(parts.store.store().clone()).with_mirrors(folders);
    let janitor = Box::new(janitor);
    let (clock, rng) = (parts.clock.clone(), parts.rng.fork());
    let driver = ReconcileDriver::new(janitor, parts.monitoring.poll, clock, rng);
    let reader = driver.status_reader();
    driver.spawn(&parts.lifecycle);
    reader
}

/// Starts what holds up tickets of which nothing goes on.
fn start_blocker_sweep(parts: &DeploymentParts) -> StatusReader {
    let sweep = Box::new(BlockerSweep::from_parts(parts));
    let (clock, rng) = (parts.clock.clone(), parts.rng.fork());
    let driver = ReconcileDriver::new(sweep, SWEEP_PERIOD, clock, rng);
    let reader = driver.status_reader();
    driver.spawn(&parts.lifecycle);
    reader
}

/// Every reconciler of an orchestrator; the registry in `omoi-domain` says what wakes each.
fn loop_consumers(parts: &DeploymentParts) -> Vec<ConsumerFactory> {
    vec![
        parts.consumer_factory::<Reaper>(Consumer::Reaper),
        parts.consumer_factory::<Planner>(Consumer::Planner),
        parts.consumer_factory::<Dispatcher>(Consumer::Dispatcher),
        parts.consumer_factory::<Validator>(Consumer::Validator),
        parts.consumer_factory::<Merger>(Consumer::Merger),
        parts.consumer_factory::<Finisher>(Consumer::Finisher),
    ]
}
