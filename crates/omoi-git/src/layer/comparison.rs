//! Whether what a set-up added is what the lock files explain: place by place, not package by package.
//!
//! Every path of a layer must be in the layer of the base commit with the same bytes, mode and target, or belong to a
//! package that the lock files changed, at a place where its manager puts it. A path of the base's layer may be missing
//! only if its package went. The decision is pure; [`LayerListing`] is read at the edge.

mod facts;
#[cfg(test)]
mod fuzz;
mod listing;
mod node;
mod node_places;
mod notes;
mod python;
mod stores;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use facts::DependencyFacts;
pub(super) use listing::LayerListing;
pub use node_places::{NodePlace, NodePlaces};

use listing::EntryState;
use node::NodeComparison;
use python::PythonComparison;
use stores::StoreComparison;

/// Folder of the workspace for packages that otherwise lie in a home folder.
pub const PACKAGES_FOLDER: &str = ".omoi-packages";

/// Whose a path is, by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathRealm {
    /// Below `node_modules`.
    Node,
    /// Below the folder of cargo and Go.
    Store,
    /// Anything else: Python's environments, and what is nobody's.
    Other,
}

impl PathRealm {
    fn of_path(path: &str) -> Self {
        let mut parts = path.split('/');
        if parts.clone().next() == Some(PACKAGES_FOLDER) {
            return Self::Store;
        }
        // A Python package may hold packages of npm: they are its own files.
        match parts.find(|part| ["node_modules", "site-packages"].contains(part)) {
            Some("node_modules") => Self::Node,
            Some(_) | None => Self::Other,
        }
    }
}

/// Paths of `made`, the layer of a commit, and of `base`, that of its base commit, which differ though nothing in
/// `facts` explains it.
pub(super) fn unexplained_paths(
    base: &LayerListing,
    made: &LayerListing,
    facts: &DependencyFacts,
) -> BTreeSet<String> {
    let layers = ComparedLayers { base, made, facts };
    let mut found = NodeComparison::new(layers).unexplained_paths();
    let (stores, python) = (StoreComparison::new(layers), PythonComparison::new(layers));
    for (path, before, after) in layers.differing_entries() {
        let is_explained = match PathRealm::of_path(path) {
            PathRealm::Node => continue,
            PathRealm::Store => stores.explains_path(path, before, after),
            PathRealm::Other => python.explains_path(path, before, after),
        };
        if !is_explained {
            found.insert(path.to_owned());
        }
    }
    found.extend(python.altered_lists());
    found
}

/// What is compared.
#[derive(Clone, Copy)]
struct ComparedLayers<'a> {
    base: &'a LayerListing,
    made: &'a LayerListing,
    facts: &'a DependencyFacts,
}

impl<'a> ComparedLayers<'a> {
    /// Paths that are not the same in both, with what is there before and after.
    fn differing_entries(
        self,
    ) -> impl Iterator<Item = (&'a str, Option<&'a EntryState>, Option<&'a EntryState>)> {
        let (base, made) = (&self.base.entries, &self.made.entries);
        let changed = made
            .iter()
            .map(move |(path, state)| (path.as_str(), base.get(path), Some(state)));
        let gone = base
            .iter()
            .filter(move |(path, _)| !made.contains_key(*path))
            .map(|(path, state)| (path.as_str(), Some(state), None));
        changed
            .chain(gone)
            .filter(|(_, before, after)| before != after)
    }
}
