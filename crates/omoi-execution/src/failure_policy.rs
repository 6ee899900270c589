//! What the platform goes by when an attempt failed.

use std::time::Duration;

use omoi_domain::secret_mask::SecretMask;
use omoi_runtime::rng::Rng;

use crate::deployment::{DeploymentParts, FromParts};

/// How the failure of an attempt is written down, and when its work is tried again.
#[derive(Clone)]
pub struct FailurePolicy {
    /// Spreads the pauses before a next try.
    pub rng: Rng,
    /// How long work goes on being tried while the model provider fails its attempts.
    pub outage_wait: Duration,
    /// Takes the secrets of this process out of what a worker printed.
    pub mask: SecretMask,
}

impl FromParts for FailurePolicy {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            rng: parts.rng.clone(),
            outage_wait: parts.outage_wait,
            mask: parts.mask.clone(),
        }
    }
}
