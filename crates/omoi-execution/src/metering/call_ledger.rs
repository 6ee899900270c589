//! The ledger of model calls.

use omoi_domain::id::OrgId;
use omoi_domain::work_limits::WorkLimits;
use omoi_runtime::clock::Clocked;
use omoi_store::Tenant;

use super::HeldCalls;
use crate::deployment::{DeploymentParts, FromParts};
use crate::failure_policy::FailurePolicy;

/// Grants model calls against the budgets, and keeps what they did cost. Clones share the calls under way.
#[derive(Clone)]
pub struct CallLedger {
    /// The rows it reads and writes; a call is of the organisation of its principal.
    pub store: Tenant,
    /// Names this process in what it begins.
    pub owner: String,
    /// Model calls that this process will record.
    pub calls: HeldCalls,
    /// What work may cost where its spec says nothing.
    pub limits: WorkLimits,
    /// When work goes on whose attempt the provider failed.
    pub failures: FailurePolicy,
    /// Waits for turns that are on their way.
    pub clock: Clocked,
}

impl CallLedger {
    /// The same for the rows of `org`: one ledger grants the calls of all.
    pub(super) fn in_organisation(&self, org: OrgId) -> Self {
        Self {
            store: self.store.store().tenant(org),
            ..self.clone()
        }
    }
}

impl FromParts for CallLedger {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            owner: parts.owner.clone(),
            calls: parts.calls.clone(),
            limits: parts.limits,
            failures: FailurePolicy::from_parts(parts),
            clock: parts.clock.clone(),
        }
    }
}
