//! What sandboxes are given of their way out.

use std::sync::Arc;

use omoi_domain::egress::EgressLaunch;
use omoi_domain::reference::NamedProject;
use omoi_egress::listing::SharedListing;

/// The way out of this deployment's sandboxes.
#[derive(Clone, Debug)]
pub struct SandboxEgress {
    /// Certificates that clients trust where registries are all they reach, as PEM.
    pub certificates: Arc<str>,
    /// Those, and what the machine trusts.
    pub host_certificates: Arc<str>,
    /// Hosts of private proxies of Go modules.
    pub go_proxies: Vec<String>,
    /// Paths of Go modules whose names no public site may hear.
    pub private_modules: Vec<String>,
    /// What a person lists beside the registries.
    pub listing: SharedListing,
}

impl SandboxEgress {
    /// Whether an attempt of `project` that begins now may reach any host beside the registries.
    pub fn lists_hosts_for(&self, project: &NamedProject) -> bool {
        self.listing.current_entries().hosts.lists_for(project)
    }

    /// What clients trust: for hosts beside the registries they need what the machine trusts, too.
    pub fn trusted_certificates(&self, lists_hosts: bool) -> &str {
        match lists_hosts {
            true => &self.host_certificates,
            false => &self.certificates,
        }
    }

    /// What clients are told, with the file of certificates as they see it.
    pub fn client_launch(&self, certificate: String) -> EgressLaunch {
        EgressLaunch {
            certificate,
            go_proxies: self.go_proxies.clone(),
            private_modules: self.private_modules.clone(),
        }
    }
}
