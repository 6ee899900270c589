//! Deployments whose commands run as plain processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use omoi_domain::sandbox::SandboxRung;
use omoi_execution::DeploymentParts;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, Provider, SandboxFloor, probe_host};

use super::TestDeployment;

impl TestDeployment {
    /// One whose checks run as plain processes, with some parts changed. The folder holds the state of its
    /// sandboxes.
    pub async fn with_processes(change: impl FnOnce(&mut DeploymentParts)) -> (Self, TempDir) {
        // The host's control groups are named by it, and tests run side by side.
        static TESTS: AtomicU64 = AtomicU64::new(0);
        let state = tempfile::tempdir().unwrap();
        let found = probe_host(&ProbeConfig::new(state.path())).await.unwrap();
        let processes: Arc<dyn Provider> = found
            .select_provider(&SandboxFloor(BTreeSet::new()), Some(SandboxRung::Process))
            .unwrap();
        let seed = u64::from(std::process::id()) << 16 | TESTS.fetch_add(1, Ordering::Relaxed);
        let deployment = Self::with_parts(|parts| {
            parts.sandbox = Some(processes);
            parts.rng = Rng::seeded(seed);
            change(parts);
        })
        .await;
        std::fs::create_dir_all(deployment.deployment.data.work_folder()).unwrap();
        (deployment, state)
    }
}
