//! What one attempt may reach.

use std::collections::BTreeSet;

use crate::host::{EgressTarget, HostDecision, HostRules};
use crate::package::{PackageName, PackageVersion};
use crate::refusal::{Refusal, RefusalReason};

/// How far an attempt reaches registries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistryAccess {
    /// It does not.
    #[default]
    Closed,
    /// What the cache holds, and nothing is fetched.
    CacheOnly,
    /// What the cache holds, and what the registry has.
    Fetch,
}

/// How much of the network one attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressCaps {
    /// Bytes it may send.
    pub upload_bytes: u64,
    /// Bytes it may receive from outside; what the cache answers is not counted.
    pub download_bytes: u64,
    /// Connections it may hold at once.
    pub connections: u32,
    /// Requests that leave the machine within one minute.
    pub requests_per_minute: u32,
    /// Names that no registry knows which it may ask for.
    pub unknown_names: usize,
}

impl Default for EgressCaps {
    fn default() -> Self {
        Self {
            upload_bytes: 50 << 20,
            download_bytes: 2 << 30,
            connections: 64,
            requests_per_minute: 600,
            unknown_names: 50,
        }
    }
}

/// What one attempt may reach. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// How far it reaches registries.
    pub registries: RegistryAccess,
    /// Hosts that a person lists.
    pub hosts: HostRules,
    /// Versions that come in at any age: those a person lists, and those of the base's lock file.
    pub listed_versions: BTreeSet<PackageVersion>,
    /// Whose private packages it sees.
    pub organisation: Option<String>,
    /// How much it may use.
    pub caps: EgressCaps,
}

impl EgressPolicy {
    /// For implementers: registries as far as the cache holds them.
    pub fn cache_only() -> Self {
        Self {
            registries: RegistryAccess::CacheOnly,
            ..Self::default()
        }
    }

    /// For the set-up of a project, and for tasks whose plan names a lock file.
    pub fn all_registries() -> Self {
        Self {
            registries: RegistryAccess::Fetch,
            ..Self::default()
        }
    }

    /// What a person listed. A registry on the list is reached as a registry.
    pub fn listed_hosts(hosts: HostRules) -> Self {
        Self {
            hosts,
            ..Self::default()
        }
    }

    /// Whether nothing at all may be reached.
    pub fn is_closed(&self) -> bool {
        self.registries == RegistryAccess::Closed && self.hosts.allow.is_empty()
    }

    /// How far the registry at `target` may be reached.
    ///
    /// # Errors
    /// Returns the refusal when it may not at all.
    pub fn registry_access(&self, target: &EgressTarget) -> Result<RegistryAccess, Refusal> {
        match self.hosts.decide(target) {
            HostDecision::Denied => Err(Refusal::new(RefusalReason::HostDenied, target)),
            _ if target.port != 443 => Err(Refusal::new(RefusalReason::RegistryWithoutTls, target)),
            HostDecision::Allowed => Ok(RegistryAccess::Fetch),
            HostDecision::PortNotListed | HostDecision::NotListed => match self.registries {
                RegistryAccess::Closed => Err(self.refuse_unlisted(target)),
                access => Ok(access),
            },
        }
    }

    /// Lets `target`, which is no registry, through or not.
    ///
    /// # Errors
    /// Returns the refusal.
    pub fn check_host(&self, target: &EgressTarget) -> Result<(), Refusal> {
        match self.hosts.decide(target) {
            HostDecision::Allowed => Ok(()),
            HostDecision::Denied => Err(Refusal::new(RefusalReason::HostDenied, target)),
            HostDecision::PortNotListed => Err(Refusal::new(RefusalReason::PortNotListed, target)),
            HostDecision::NotListed => Err(self.refuse_unlisted(target)),
        }
    }

    fn refuse_unlisted(&self, target: &EgressTarget) -> Refusal {
        let reason = match self.is_closed() {
            true => RefusalReason::EgressOff,
            false => RefusalReason::HostNotListed,
        };
        Refusal::new(reason, target)
    }

    /// Whether a version of `package` is listed, so that its name is no secret of the attempt's.
    pub fn lists_package(&self, package: &PackageName) -> bool {
        self.listed_versions
            .iter()
            .any(|version| version.package == *package)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const NPM: &str = "registry.npmjs.org";

    fn listed(allow: &[&str], deny: &[&str]) -> EgressPolicy {
        EgressPolicy::listed_hosts(HostRules::parse(allow, deny).unwrap())
    }

    #[test]
    fn each_mode_reaches_what_it_says() {
        use RefusalReason::{EgressOff, HostDenied, HostNotListed, RegistryWithoutTls};
        use RegistryAccess::{CacheOnly, Fetch};
        let mut denied = EgressPolicy::all_registries();
        denied.hosts = HostRules::parse(&[], &["**.npmjs.org"]).unwrap();
        for (policy, target, expected) in [
            (EgressPolicy::default(), NPM, Err(EgressOff)),
            (EgressPolicy::cache_only(), NPM, Ok(CacheOnly)),
            (EgressPolicy::all_registries(), NPM, Ok(Fetch)),
            (
                EgressPolicy::all_registries(),
                "registry.npmjs.org:80",
                Err(RegistryWithoutTls),
            ),
            (denied, NPM, Err(HostDenied)),
            (listed(&["example.com"], &[]), NPM, Err(HostNotListed)),
            (listed(&[NPM], &[]), NPM, Ok(Fetch)),
        ] {
            let target = EgressTarget::parse(target, 443).unwrap();
            let found = policy
                .registry_access(&target)
                .map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{policy:?} {target}");
        }
    }

    #[test]
    fn other_hosts_need_a_list() {
        use RefusalReason::{EgressOff, HostDenied, HostNotListed, PortNotListed};
        for (policy, target, expected) in [
            (EgressPolicy::default(), "example.com", Err(EgressOff)),
            (
                EgressPolicy::cache_only(),
                "example.com",
                Err(HostNotListed),
            ),
            (
                EgressPolicy::all_registries(),
                "example.com",
                Err(HostNotListed),
            ),
            (listed(&["example.com"], &[]), "example.com", Ok(())),
            (
                listed(&["example.com"], &[]),
                "example.com:22",
                Err(PortNotListed),
            ),
            (
                listed(&["example.com"], &["example.com"]),
                "example.com",
                Err(HostDenied),
            ),
            (
                listed(&["example.com"], &[]),
                "10.0.0.1",
                Err(HostNotListed),
            ),
        ] {
            let target = EgressTarget::parse(target, 443).unwrap();
            let found = policy.check_host(&target).map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{policy:?} {target}");
        }
    }
}
