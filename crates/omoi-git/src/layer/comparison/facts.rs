//! What is known from outside of a set-up about which packages it was to change.

use std::collections::BTreeSet;

use super::NodePlaces;

/// What lock files, manifests and registries say of the packages of a commit and of its base.
///
/// A version is written `npm:left-pad@1.3.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyFacts {
    /// Versions that the base's lock files list.
    pub listed_before: BTreeSet<String>,
    /// Versions that the commit's lock files list, and those of which it does not show that it took them away.
    pub listed_after: BTreeSet<String>,
    /// Folders that the base's lock files of npm name.
    pub places_before: NodePlaces,
    /// Folders that those of the commit name.
    pub places_after: NodePlaces,
    /// Versions that came in from registries for the set-up.
    pub arrived: BTreeSet<String>,
    /// Names of the Python packages that the base is the source of.
    pub own_before: BTreeSet<String>,
    /// Names of those that the commit is the source of.
    pub own_after: BTreeSet<String>,
}

impl DependencyFacts {
    /// Whether a version that the base's layer does not have may be there now: a lock file lists it, or none lists any
    /// of its package and it came from a registry. Lists that leave out what packages need themselves, as those for
    /// pip, are completed by the registry.
    pub(super) fn explains_new(&self, version: &str) -> bool {
        if self.listed_after.contains(version) {
            return true;
        }
        let name = package_of(version);
        let is_listed = self.listed_after.iter().any(|one| package_of(one) == name);
        !is_listed && self.arrived.contains(version)
    }

    /// Whether a version of the base's layer may be gone: the lock files took it away, or another of the package
    /// `is_replaced` it, or what asked for it may have gone with its own entry.
    pub(super) fn explains_gone(&self, version: &str, is_replaced: bool) -> bool {
        if self.listed_after.contains(version) {
            return false;
        }
        is_replaced || self.listed_before.contains(version) || self.took_away(registry_of(version))
    }

    /// Whether the commit took an entry of `registry` out of the lock files, or they never had any.
    fn took_away(&self, registry: &str) -> bool {
        let of_registry = |one: &&String| registry_of(one) == registry;
        let mut before = self.listed_before.iter().filter(of_registry).peekable();
        let lists_any =
            before.peek().is_some() || self.listed_after.iter().any(|one| of_registry(&one));
        !lists_any || before.any(|one| !self.listed_after.contains(one))
    }
}

/// `npm:left-pad` of `npm:left-pad@1.3.0`.
pub(super) fn package_of(version: &str) -> &str {
    version.rsplit_once('@').map_or(version, |(name, _)| name)
}

fn registry_of(version: &str) -> &str {
    version
        .split_once(':')
        .map_or(version, |(registry, _)| registry)
}
