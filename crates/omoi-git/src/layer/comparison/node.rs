//! Packages of npm, yarn and pnpm: whole folders, and the links to their programs.

use std::collections::{BTreeMap, BTreeSet};

use super::listing::EntryState;
use super::notes::is_node_note;
use super::{ComparedLayers, LayerListing, NodePlaces, PathRealm};

/// What a path below `node_modules` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodePart<'p> {
    /// A package: its folder, and the path from there; empty for the folder itself, where it is a link.
    Package { folder: &'p str, rest: &'p str },
    /// A program: the `node_modules` that it is offered in.
    Program { modules: &'p str },
    /// Something else: the outermost `node_modules`, and the path from there.
    Other { rest: &'p str },
}

impl<'p> NodePart<'p> {
    /// None for a path that is not below `node_modules`.
    pub(super) fn of_path(path: &'p str) -> Option<Self> {
        let outermost = modules_end(path)?;
        let other = Self::Other {
            rest: path.get(outermost + 1..).unwrap_or_default(),
        };
        let (mut modules, mut found) = (outermost, None);
        loop {
            let rest = path.get(modules + 1..).unwrap_or_default();
            let mut names = rest.split('/');
            let first = names.next().unwrap_or_default();
            let length = match (first, names.next()) {
                (".bin", Some(_)) if names.next().is_none() => {
                    let modules = &path[..modules];
                    return Some(Self::Program { modules });
                }
                // The store of pnpm: a folder of its own around each package and what it needs.
                (".pnpm", Some(own)) if names.next() == Some("node_modules") => {
                    modules += 1 + first.len() + 1 + own.len() + 1 + "node_modules".len();
                    continue;
                }
                (scope, Some(name)) if scope.starts_with('@') => scope.len() + 1 + name.len(),
                (name, _) if !name.is_empty() && !name.starts_with(['.', '@']) => name.len(),
                _ => return Some(found.unwrap_or(other)),
            };
            let end = modules + 1 + length;
            let (folder, rest) = (&path[..end], path.get(end + 1..).unwrap_or_default());
            found = Some(Self::Package { folder, rest });
            match rest.strip_prefix("node_modules/") {
                Some(_) => modules = end + 1 + "node_modules".len(),
                None => return found,
            }
        }
    }
}

/// Whether a folder is that of a package, and not one inside.
pub(super) fn is_package_folder(folder: &str) -> bool {
    matches!(
        NodePart::of_path(folder),
        Some(NodePart::Package { rest: "", .. })
    )
}

/// Where the outermost `node_modules` of `path` ends.
fn modules_end(path: &str) -> Option<usize> {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if part == "node_modules" {
            return Some(end);
        }
        end += 1;
    }
    None
}

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
        let is_new = is_package_folder(&leads_to) && self.is_changed(&leads_to);
        is_new && leaf_of(folder) == leaf_of(&leads_to) && self.has_let_go(folder, before.copied())
    }

    /// Whether a folder of the base's layer may be missing.
    fn is_gone(&self, folder: &str) -> bool {
        if self.made.is_said(folder) {
            // Those that the lock file names and that are not there are found otherwise.
            return self.layers.facts.places_after.at_folder(folder).is_none()
                || self.base.package_at(folder) != self.made.package_at(folder);
        }
        if let Some(link @ EntryState::Link(_)) = self.base.folders[folder].get("").copied() {
            return self.has_let_go(folder, Some(link));
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
        let leads_well = match after {
            None => true,
            Some(EntryState::Plain { .. }) => false,
            Some(EntryState::Link(target)) => self
                .package_behind(path, target)
                .is_some_and(|folder| parent_of(&folder) == modules && self.is_changed(&folder)),
        };
        leads_well && self.has_let_go(path, before)
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

/// Where a link at `path` leads, by its text alone; none when it leads out.
fn resolve_link(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" if target.starts_with('/') => return None,
            "" | "." => {}
            ".." => parts.pop().map(drop)?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The `node_modules` that a package folder lies in.
fn parent_of(folder: &str) -> &str {
    folder
        .rfind("node_modules/")
        .map_or("", |at| &folder[..at + "node_modules".len()])
}

/// The name that a package folder gives its package.
fn leaf_of(folder: &str) -> &str {
    folder
        .rsplit_once("node_modules/")
        .map_or(folder, |(_, leaf)| leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_innermost_package_that_can_be_required() {
        let package = |folder, rest| Some(NodePart::Package { folder, rest });
        let program = |modules| Some(NodePart::Program { modules });
        for (path, expected) in [
            ("src/a.js", None),
            ("node_modules", Some(NodePart::Other { rest: "" })),
            ("node_modules/a", package("node_modules/a", "")),
            (
                "w/node_modules/@s/a/x/y",
                package("w/node_modules/@s/a", "x/y"),
            ),
            (
                "node_modules/a/node_modules/b/x",
                package("node_modules/a/node_modules/b", "x"),
            ),
            // A folder of that name inside of a package is the package's.
            (
                "node_modules/a/test/node_modules/b/x",
                package("node_modules/a", "test/node_modules/b/x"),
            ),
            ("node_modules/.bin/a", program("node_modules")),
            (
                "node_modules/a/node_modules/.bin/b",
                program("node_modules/a/node_modules"),
            ),
            (
                "node_modules/.pnpm/a@1/node_modules/a/x",
                package("node_modules/.pnpm/a@1/node_modules/a", "x"),
            ),
            (
                "node_modules/.cache/x",
                Some(NodePart::Other { rest: ".cache/x" }),
            ),
        ] {
            assert_eq!(NodePart::of_path(path), expected, "{path}");
        }
        assert!(is_package_folder("node_modules/@s/a") && !is_package_folder("node_modules/a/b"));
    }

    #[test]
    fn a_link_is_followed_by_its_text() {
        for (path, target, expected) in [
            (
                "node_modules/.bin/a",
                "../a/cli.js",
                Some("node_modules/a/cli.js"),
            ),
            ("node_modules/@s/own", "../../tools/own", Some("tools/own")),
            ("node_modules/.bin/a", "/usr/bin/a", None),
            ("a", "../../b", None),
        ] {
            assert_eq!(resolve_link(path, target).as_deref(), expected);
        }
    }
}
