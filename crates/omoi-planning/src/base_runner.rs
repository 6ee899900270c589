//! Runs what must be known of a spec's base commit before work begins: its suite and the plan's proofs.

use omoi_domain::work_limits::WorkLimits;
use omoi_execution::command::CheckoutRunner;
use omoi_execution::platform_run::PlatformRunner;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_store::Tenant;

/// Runs commands on the base commits of specs, as attempts of the platform.
#[derive(Clone)]
pub(crate) struct BaseRunner {
    /// The rows it reads and writes.
    pub(crate) store: Tenant,
    /// What work may take where its spec says nothing.
    pub(crate) limits: WorkLimits,
    /// Begins the attempts of the platform.
    pub(crate) platform: PlatformRunner,
    /// Runs the commands of checks.
    pub(crate) checkouts: CheckoutRunner,
}

impl FromParts for BaseRunner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            limits: parts.limits,
            platform: PlatformRunner::from_parts(parts),
            checkouts: CheckoutRunner::from_parts(parts),
        }
    }
}
