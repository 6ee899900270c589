//! What a new attempt is told apart by.

use omoi_runtime::rng::Rng;

use crate::deployment::{DeploymentParts, FromParts};

/// Gives attempts what tells them from others: their owner and their credential.
#[derive(Clone)]
pub struct AttemptIssuer {
    /// Names this process in what it begins.
    pub owner: String,
    /// Draws the credentials of workers.
    pub rng: Rng,
}

impl FromParts for AttemptIssuer {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            owner: parts.owner.clone(),
            rng: parts.rng.clone(),
        }
    }
}
