//! What a person lists of hosts and versions, as it is at this instant: entries may come while a process works.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use omoi_domain::reference::NamedProject;

use crate::package::PackageVersion;
use crate::policy::{EgressPolicy, RegistryAccess};
use crate::project_hosts::ProjectHosts;

/// Hosts and versions that a person lists.
#[derive(Clone, Debug, Default)]
pub struct ListedEntries {
    /// Hosts beside the registries.
    pub hosts: ProjectHosts,
    /// Versions that come in at any age.
    pub versions: BTreeSet<PackageVersion>,
}

/// The entries that hold in a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SharedListing(Arc<RwLock<Arc<ListedEntries>>>);

impl SharedListing {
    /// A listing that begins with `entries`.
    pub fn new(entries: ListedEntries) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(entries))))
    }

    /// What is listed now.
    pub fn current_entries(&self) -> Arc<ListedEntries> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lists `more`, for what is under way as well.
    pub fn add_entries(&self, more: ListedEntries) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = ListedEntries::clone(&current);
        entries.hosts.add_hosts(more.hosts);
        entries.versions.extend(more.versions);
        *current = Arc::new(entries);
    }
}

/// What sandboxes of a project may reach, with what a person lists for it.
#[derive(Clone, Debug)]
pub struct ListedPolicy {
    /// What they may reach without any list.
    pub base: EgressPolicy,
    /// The project.
    pub project: NamedProject,
    /// What the person lists.
    pub listing: SharedListing,
}

impl ListedPolicy {
    /// What they may reach now.
    pub fn current_policy(&self) -> EgressPolicy {
        self.policy_with(&self.listing.current_entries())
    }

    /// What they may reach where `entries` are listed. A list opens no way where there is none.
    pub(crate) fn policy_with(&self, entries: &ListedEntries) -> EgressPolicy {
        let mut policy = self.base.clone();
        if policy.registries == RegistryAccess::Closed {
            return policy;
        }
        policy.hosts = entries.hosts.rules_for(&self.project);
        policy
            .listed_versions
            .extend(entries.versions.iter().cloned());
        policy
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn what_is_added_counts_for_its_project_beside_what_was_listed() {
        let listing = SharedListing::new(ListedEntries {
            hosts: ProjectHosts::parse(&["a.example"]).unwrap(),
            ..ListedEntries::default()
        });
        let policy = |path: &str, base| ListedPolicy {
            base,
            project: NamedProject::among_paths(path, &["/src/todo", "/src/other"]),
            listing: listing.clone(),
        };
        let todo = policy("/src/todo", EgressPolicy::cache_only());
        let other = policy("/src/other", EgressPolicy::cache_only());
        let closed = policy("/src/todo", EgressPolicy::default());
        let n_hosts = |policy: &ListedPolicy| policy.current_policy().hosts.allow.len();
        assert_eq!([&todo, &other, &closed].map(n_hosts), [1, 1, 0]);
        let more = ListedEntries {
            hosts: ProjectHosts::parse(&["project=todo; host=b.example", "a.example"]).unwrap(),
            versions: ["npm:left-pad@1.3.0".parse().unwrap()].into(),
        };
        // The same again is the same.
        for _ in 0..2 {
            listing.add_entries(more.clone());
            assert_eq!([&todo, &other, &closed].map(n_hosts), [2, 1, 0]);
            let versions = todo.current_policy().listed_versions;
            assert_eq!(versions, more.versions);
        }
    }
}
