//! Checks, merges and the last proof on a real database and a real mirror.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod ablation;
mod deployments;
mod disk_stops;
mod finisher;
mod found_secrets;
mod landed_work;
mod merge_conflicts;
mod merger;
mod postponed_starts;
mod queued_work;
mod suite_on_base;
mod validator;

use tempfile::TempDir;

use omoi_domain::repository_settings::NO_SETUP;
use omoi_execution::DeploymentParts;
use omoi_testkit::deployment::TestDeployment;

/// A deployment whose checks run as plain processes.
async fn with_sandbox() -> (TestDeployment, TempDir) {
    with_parts(|_| {}).await
}

/// As [`with_sandbox`], with so many slots for its project.
async fn with_slots(slots: i64) -> (TestDeployment, TempDir) {
    with_parts(|parts| parts.queue.slots.per_project = slots).await
}

/// As [`with_sandbox`], with something changed.
async fn with_parts(change: impl FnOnce(&mut DeploymentParts)) -> (TestDeployment, TempDir) {
    TestDeployment::with_processes(|parts| {
        // No test of these fetches packages: plain processes reach whatever the machine does.
        parts.setup.commands = vec![NO_SETUP.to_owned()];
        change(parts);
    })
    .await
}

/// Runs what a pass began to its end.
async fn settle(it: &TestDeployment) {
    it.deployment.running.wait_drained().await;
}

/// A check that fails for want of a Python package until there is a file at `installed`.
fn needs_package(installed: &std::path::Path) -> String {
    let file = installed.display();
    let says = "ModuleNotFoundError: No module named 'iniconfig'";
    format!("test -e '{file}' || {{ echo \"{says}\"; exit 1; }}")
}
