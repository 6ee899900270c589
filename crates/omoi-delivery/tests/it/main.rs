//! Checks, merges and the last proof on a real database and a real mirror.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod ablation;
mod disk_stops;
mod finisher;
mod merger;
#[path = "../../../omoi-execution/tests/it/support.rs"]
#[allow(dead_code, reason = "shared with tests that need all of it")]
mod support;
mod validator;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omoi_domain::sandbox::SandboxRung;
use omoi_execution::platform::Parts;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, Provider, SandboxFloor, probe_host};

/// A platform whose checks run as plain processes.
async fn with_sandbox() -> (support::TestPlatform, tempfile::TempDir) {
    with_slots(5).await
}

/// As [`with_sandbox`], with so many slots for its project.
async fn with_slots(slots: i64) -> (support::TestPlatform, tempfile::TempDir) {
    with_parts(|parts| parts.settings.project_slots = slots).await
}

/// As [`with_sandbox`], with something changed.
async fn with_parts(change: impl FnOnce(&mut Parts)) -> (support::TestPlatform, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let found = probe_host(&ProbeConfig::new(state.path())).await.unwrap();
    let plain: Arc<dyn Provider> = found
        .select_provider(
            &SandboxFloor(std::collections::BTreeSet::new()),
            Some(SandboxRung::Process),
        )
        .unwrap();
    // The host's control groups are named by it, and tests run side by side.
    static TESTS: AtomicU64 = AtomicU64::new(0);
    let seed = u64::from(std::process::id()) << 16 | TESTS.fetch_add(1, Ordering::Relaxed);
    let it = support::TestPlatform::with(|parts| {
        parts.sandbox = Some(plain);
        parts.settings.project_slots = 5;
        parts.rng = Rng::seeded(seed);
        change(parts);
    })
    .await;
    std::fs::create_dir_all(it.platform.data.work()).unwrap();
    (it, state)
}

/// Runs what a pass began to its end.
async fn settle(it: &support::TestPlatform) {
    it.platform.running.drained().await;
}

/// A check that fails for want of a Python package until there is a file at `installed`.
fn needs_package(installed: &std::path::Path) -> String {
    let file = installed.display();
    let says = "ModuleNotFoundError: No module named 'iniconfig'";
    format!("test -e '{file}' || {{ echo \"{says}\"; exit 1; }}")
}
