//! Packages of npm, yarn and pnpm: whole folders, and the links to their programs.

mod node_part;
mod program_script;
mod store_links;

use std::collections::{BTreeMap, BTreeSet};

use super::listing::EntryState;
use super::notes::is_node_note;
use super::{ComparedLayers, LayerListing, NodePlaces, PathRealm};

pub(super) use node_part::{NodePart, is_package_folder};
pub(super) use program_script::ProgramScript;

use node_part::{is_offered_in, leaf_of, modules_end, owner_of, parent_of, resolve_link};

/// Files of package folders, by folder and by path from there.
type PackageFolders<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a EntryState>>;

/// The packages of one layer.
struct NodeLayer<'a> {
    listing: &'a LayerListing,
    places: &'a NodePlaces,
    folders: PackageFolders<'a>,
}

impl<'a> NodeLayer<'a> {
    fn new(listing: &'a LayerListing, places: &'a NodePlaces) -> Self {
        let mut folders = PackageFolders::new();
        for (path, state) in &listing.entries {
            if PathRealm::of_path(path) != PathRealm::Node {
                continue;
            }
            if let Some(NodePart::Package { folder, rest }) = NodePart::of_path(path) {
                folders.entry(folder).or_default().insert(rest, state);
            }
        }
        Self {
            listing,
            places,
            folders,
        }
    }

    /// Whether a lock file says what lies in `folder`.
    fn is_said(&self, folder: &str) -> bool {
        modules_end(folder).is_some_and(|end| self.places.has_said(&folder[..end]))
    }

    /// The package in `folder`: what the lock file says, or else the package itself.
    fn package_at(&self, folder: &str) -> Option<&'a str> {
        match self.is_said(folder) {
            true => Some(&self.places.at_folder(folder)?.package),
            false => self.listing.node_packages.get(folder).map(String::as_str),
        }
    }

    /// The folder that `folder` is, or that it is a link to.
    fn own_folder(&self, folder: &str) -> Option<String> {
        match self.folders.get(folder)?.get("") {
            Some(EntryState::Link(target)) => {
                resolve_link(folder, target).filter(|own| self.folders.contains_key(own.as_str()))
            }
            Some(EntryState::Plain { .. }) | None => Some(folder.to_owned()),
        }
    }

    /// The package there, if anything is.
    fn installed_at(&self, folder: &str) -> Option<&'a str> {
        self.package_at(folder)
            .filter(|_| self.folders.contains_key(folder))
    }
}

/// The packages of both layers.
pub(super) struct NodeComparison<'a> {
    layers: ComparedLayers<'a>,
    base: NodeLayer<'a>,
    made: NodeLayer<'a>,
    /// Folders of the base's layer, by package.
    copies: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> NodeComparison<'a> {
    pub(super) fn new(layers: ComparedLayers<'a>) -> Self {
        let base = NodeLayer::new(layers.base, &layers.facts.places_before);
        let made = NodeLayer::new(layers.made, &layers.facts.places_after);
        let mut copies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for folder in base.folders.keys() {
            if let Some(package) = base.package_at(folder) {
                copies.entry(package).or_default().push(folder);
            }
        }
        Self {
            layers,
            base,
            made,
            copies,
        }
    }

    pub(super) fn unexplained_paths(&self) -> BTreeSet<String> {
        let mut found = self.dropped_places();
        for folder in self.made.folders.keys() {
            found.extend(self.differing_files(folder));
        }
        let gone = self.base.folders.keys();
        let gone = gone.filter(|folder| !self.made.folders.contains_key(*folder));
        found.extend(
            gone.filter(|folder| !self.is_gone(folder))
                .map(|folder| (*folder).to_owned()),
        );
        for (path, before, after) in self.layers.differing_entries() {
            let is_explained = match NodePart::of_path(path) {
                Some(NodePart::Program { modules }) => {
                    self.explains_program(path, modules, (before, after))
                }
                Some(NodePart::Other { rest }) => {
                    let is_file = !matches!(after, Some(EntryState::Link(_)));
                    is_file && is_node_note(rest)
                }
                Some(NodePart::Package { .. }) | None => true,
            };
            if !is_explained && PathRealm::of_path(path) == PathRealm::Node {
                found.insert(path.to_owned());
            }
        }
        found
    }

    /// What in a folder of the new layer is not what it has to be.
    fn differing_files(&self, folder: &str) -> Vec<String> {
        let files = &self.made.folders[folder];
        if let Some(EntryState::Link(target)) = files.get("") {
            let is_explained = files.len() == 1 && self.explains_link(folder, target);
            return Vec::from_iter((!is_explained).then(|| folder.to_owned()));
        }
        let Some(package) = self.made.package_at(folder) else {
            // Nobody says what it is: it has to be what it was.
            return differences(folder, files, self.base.folders.get(folder));
        };
        if self.base.installed_at(folder) == Some(package) {
            return differences(folder, files, self.base.folders.get(folder));
        }
        // A package that moved is what it was elsewhere.
        let copies = self.copies.get(package).into_iter().flatten();
        let mut moved = copies.map(|copy| differences(folder, files, self.base.folders.get(copy)));
        match moved.next() {
            None if self.explains_package(folder, package) => Vec::new(),
            None => differences(folder, files, None),
            Some(first) if first.is_empty() || moved.any(|copy| copy.is_empty()) => Vec::new(),
            Some(first) => first,
        }
    }

    /// Whether a package that the base's layer has nowhere may be in `folder`.
    fn explains_package(&self, folder: &str, package: &str) -> bool {
        let leaf = match folder.rsplit_once("node_modules/") {
            Some((_, leaf)) => leaf,
            None => folder,
        };
        // A lock file that names the folder has explained it; else the folder is named as the package.
        let is_named = package
            .strip_prefix("npm:")
            .and_then(|p| p.strip_prefix(leaf));
        let is_named = is_named.is_some_and(|rest| rest.starts_with('@'));
        self.made.is_said(folder) || (is_named && self.layers.facts.explains_new(package))
    }

    /// Whether the folder of a package may lead to `target`.
    fn explains_link(&self, folder: &str, target: &str) -> bool {
        let before = self
            .base
            .folders
            .get(folder)
            .and_then(|files| files.get(""));
        let state = EntryState::Link(target.to_owned());
        if before == Some(&&state) && self.base.package_at(folder) == self.made.package_at(folder) {
            return true;
        }
        let Some(leads_to) = resolve_link(folder, target) else {
            return false;
        };
        if self.made.is_said(folder) {
            let place = self.layers.facts.places_after.at_folder(folder);
            return place.is_some_and(|place| place.link.as_ref() == Some(&leads_to));
        }
        self.explains_named_link(folder, &leads_to, before.copied())
    }

    /// Whether a folder of the base's layer may be missing.
    fn is_gone(&self, folder: &str) -> bool {
        if self.made.is_said(folder) {
            // Those that the lock file names and that are not there are found otherwise.
            return self.layers.facts.places_after.at_folder(folder).is_none()
                || self.base.package_at(folder) != self.made.package_at(folder);
        }
        if let Some(link @ EntryState::Link(_)) = self.base.folders[folder].get("").copied() {
            return self.has_let_go(folder, Some(link)) || self.is_offered_otherwise(folder);
        }
        let Some(package) = self.base.package_at(folder) else {
            return false;
        };
        let name = super::facts::package_of(package);
        let mut others = self
            .made
            .folders
            .keys()
            .filter_map(|other| self.made.package_at(other));
        let is_there = others.clone().any(|other| other == package);
        let is_replaced = others.any(|other| super::facts::package_of(other) == name);
        is_there || self.layers.facts.explains_gone(package, is_replaced)
    }

    /// Folders that the lock file names and that are missing, though their packages could be installed: another version
    /// would be found further up.
    fn dropped_places(&self) -> BTreeSet<String> {
        let places = self.layers.facts.places_after.all_places();
        let dropped = places.filter(|(folder, place)| {
            let is_plain = !place.is_optional && place.link.is_none();
            let is_known = self.copies.contains_key(place.package.as_str());
            is_plain && is_known && !self.made.folders.contains_key(folder)
        });
        dropped.map(|(folder, _)| folder.to_owned()).collect()
    }

    /// Whether a program may be offered, offered otherwise or be missing.
    fn explains_program(
        &self,
        path: &str,
        modules: &str,
        (before, after): (Option<&EntryState>, Option<&EntryState>),
    ) -> bool {
        let is_of_changed = owner_of(modules)
            .is_some_and(|owner| self.base.installed_at(owner) != self.made.installed_at(owner));
        let leads_well = match after {
            None => true,
            Some(EntryState::Plain { .. }) => self.explains_script(path, modules, is_of_changed),
            Some(EntryState::Link(target)) => {
                self.package_behind(path, target).is_some_and(|folder| {
                    is_offered_in(modules, &folder) && (is_of_changed || self.is_changed(&folder))
                })
            }
        };
        let lets_go = match before {
            Some(EntryState::Plain { .. }) => self.lets_script_go(path, modules),
            None | Some(EntryState::Link(_)) => self.has_let_go(path, before),
        };
        leads_well && (is_of_changed || lets_go)
    }

    /// Whether what was at `path` led into a package that is there no more.
    fn has_let_go(&self, path: &str, before: Option<&EntryState>) -> bool {
        match before {
            None => true,
            Some(EntryState::Plain { .. }) => false,
            Some(EntryState::Link(target)) => {
                self.package_behind(path, target).is_some_and(|folder| {
                    let before = self.base.package_at(&folder);
                    before.is_some() && before != self.made.installed_at(&folder)
                })
            }
        }
    }

    /// Whether a folder holds another package than in the base's layer.
    fn is_changed(&self, folder: &str) -> bool {
        let package = self.made.installed_at(folder);
        package.is_some() && package != self.base.installed_at(folder)
    }

    /// The folder of the package that a link leads into.
    fn package_behind(&self, path: &str, target: &str) -> Option<String> {
        let leads_to = resolve_link(path, target)?;
        match NodePart::of_path(&leads_to)? {
            NodePart::Package { folder, .. } => Some(folder.to_owned()),
            NodePart::Program { .. } | NodePart::Other { .. } => None,
        }
    }
}

/// Paths of `folder` at which `files` are not those of `reference`.
fn differences(
    folder: &str,
    files: &BTreeMap<&str, &EntryState>,
    reference: Option<&BTreeMap<&str, &EntryState>>,
) -> Vec<String> {
    let none = BTreeMap::new();
    let reference = reference.unwrap_or(&none);
    let all: BTreeSet<&&str> = files.keys().chain(reference.keys()).collect();
    let differing = all
        .into_iter()
        .filter(|rest| files.get(**rest) != reference.get(**rest));
    let paths = differing.map(|rest| match *rest {
        "" => folder.to_owned(),
        rest => format!("{folder}/{rest}"),
    });
    paths.collect()
}
