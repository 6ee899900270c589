//! What sandboxes are given of their way out.

use std::sync::Arc;

use omoi_domain::egress::EgressLaunch;

/// The way out of this deployment's sandboxes.
#[derive(Clone, Debug)]
pub struct SandboxEgress {
    /// Certificates that clients trust, as PEM.
    pub certificates: Arc<str>,
    /// Hosts of private proxies of Go modules.
    pub go_proxies: Vec<String>,
    /// Paths of Go modules whose names no public site may hear.
    pub private_modules: Vec<String>,
    /// Whether a person listed hosts beside the registries.
    pub lists_hosts: bool,
}

impl SandboxEgress {
    /// What clients are told, with the file of certificates as they see it.
    pub fn client_launch(&self, certificate: String) -> EgressLaunch {
        EgressLaunch {
            certificate,
            go_proxies: self.go_proxies.clone(),
            private_modules: self.private_modules.clone(),
        }
    }
}
