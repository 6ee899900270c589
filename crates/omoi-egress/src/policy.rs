//! What one attempt may reach.

use std::collections::BTreeSet;

use crate::host::{EgressTarget, HostDecision, HostRules};
use crate::package::{PackageName, PackageRegistry, PackageVersion};
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
    /// Names that no registry knows which it may ask for, and names of Go modules that nobody lists.
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
    /// The project that a person would list a host for; a refusal names the line.
    pub project: Option<String>,
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

    /// What a person listed. A list says nothing of registries.
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

    /// How far the registry at `target` may be reached: as far as the attempt reaches registries. A list that names
    /// it makes that no more, or every attempt could send it names; one that denies it makes it nothing.
    ///
    /// # Errors
    /// Returns the refusal when it may not at all.
    pub fn registry_access(&self, target: &EgressTarget) -> Result<RegistryAccess, Refusal> {
        match self.hosts.decide(target) {
            HostDecision::Denied => Err(Refusal::new(RefusalReason::HostDenied, target)),
            _ if target.port != 443 => Err(Refusal::new(RefusalReason::RegistryWithoutTls, target)),
            HostDecision::Allowed | HostDecision::PortNotListed | HostDecision::NotListed => {
                match self.registries {
                    RegistryAccess::Closed => Err(self.refuse_unlisted(target)),
                    access => Ok(access),
                }
            }
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
            HostDecision::PortNotListed => {
                let refusal = Refusal::new(RefusalReason::PortNotListed, target);
                Err(refusal.in_project(self.project.as_deref()))
            }
            HostDecision::NotListed => Err(self.refuse_unlisted(target)),
        }
    }

    fn refuse_unlisted(&self, target: &EgressTarget) -> Refusal {
        let reason = match self.is_closed() {
            true => RefusalReason::EgressOff,
            false => RefusalReason::HostNotListed,
        };
        Refusal::new(reason, target).in_project(self.project.as_deref())
    }

    /// Whether `name` is listed, so that it is no secret of the attempt's: a package by one of its versions,
    /// a version of a Go module (`module@version`) by itself.
    pub fn lists_name(&self, name: &PackageName) -> bool {
        let mut from = self.listed_versions.range(name.at_version("")..);
        let is_package = from.next().is_some_and(|version| version.package == *name);
        let is_version = || {
            let (module, version) = name.name.rsplit_once('@')?;
            let module = PackageName::new(PackageRegistry::Go, module);
            Some(self.listed_versions.contains(&module.at_version(version)))
        };
        is_package || (name.registry == PackageRegistry::Go && is_version().unwrap_or(false))
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

    fn cached(allow: &[&str]) -> EgressPolicy {
        EgressPolicy {
            hosts: HostRules::parse(allow, &[]).unwrap(),
            ..EgressPolicy::cache_only()
        }
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
            (listed(&[NPM], &[]), NPM, Err(HostNotListed)),
            (cached(&[NPM]), NPM, Ok(CacheOnly)),
            (cached(&["**.npmjs.org"]), NPM, Ok(CacheOnly)),
        ] {
            let target = EgressTarget::parse(target, 443).unwrap();
            let found = policy
                .registry_access(&target)
                .map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{policy:?} {target}");
        }
    }

    #[test]
    fn a_listed_version_lists_its_package_and_of_go_itself() {
        let listed = ["npm:b@1.0.0", "go:example.com/b@v1.2.0"];
        let policy = EgressPolicy {
            listed_versions: listed.map(|text| text.parse().unwrap()).into(),
            ..EgressPolicy::all_registries()
        };
        for (registry, name, expected) in [
            (PackageRegistry::Npm, "b", true),
            (PackageRegistry::Npm, "a", false),
            (PackageRegistry::Npm, "b@1.0.0", false),
            (PackageRegistry::Pypi, "b", false),
            (PackageRegistry::Go, "example.com/b", true),
            (PackageRegistry::Go, "example.com/b@v1.2.0", true),
            (PackageRegistry::Go, "example.com/b@v1.3.0", false),
            (PackageRegistry::Go, "example.com/c@v1.2.0", false),
        ] {
            let found = policy.lists_name(&PackageName::new(registry, name));
            assert_eq!(found, expected, "{registry}:{name}");
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
