//! A process that is to stop while its sandboxes run.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use omoi_domain::attempt::{AttemptState, AttemptStopReason};
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::lease_renewal;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, Provider, SandboxFloor, probe_host};
use omoi_store::attempts;
use omoi_testkit::deployment::TestDeployment;

#[tokio::test]
async fn a_worker_stopped_before_its_first_word_costs_no_try() {
    let state = tempfile::tempdir().unwrap();
    let worker = state.path().join("worker");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&worker)
        .unwrap();
    file.write_all(b"#!/bin/sh\nexec sleep 600\n").unwrap();
    drop(file);
    let found = probe_host(&ProbeConfig::new(state.path().join("run")))
        .await
        .unwrap();
    let floor = SandboxFloor(std::collections::BTreeSet::new());
    let plain: Arc<dyn Provider> = found
        .select_provider(&floor, Some(SandboxRung::Process))
        .unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.sandbox = Some(plain);
        parts.worker = worker;
        // The host's control groups are named by it.
        parts.rng = Rng::seeded(u64::from(std::process::id()));
    })
    .await;
    std::fs::create_dir_all(it.deployment.data.work_folder()).unwrap();
    lease_renewal::start_lease_renewal(&it.build_part());
    let task = it.add_task(1, &[]).await;
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut dispatcher, it.clock.now()).await;
    while it.task_now(task.id).await.status != TaskStatus::Assigned {
        tokio::task::yield_now().await;
    }
    it.deployment.lifecycle.stop();
    while !it.deployment.running.attempt_ids().is_empty() {
        it.advance_clock(1);
        tokio::task::yield_now().await;
    }
    let task = it.task_now(task.id).await;
    assert_eq!((task.status, task.retry_count), (TaskStatus::Pending, 0));
    let tried = attempts::of_task(&mut it.read_tx().await, task.id)
        .await
        .unwrap();
    assert_eq!(tried.len(), 1);
    assert_eq!(tried[0].state, AttemptState::Interrupted);
    assert_eq!(
        tried[0].stop_reason,
        Some(AttemptStopReason::ShutdownSignal)
    );
}
