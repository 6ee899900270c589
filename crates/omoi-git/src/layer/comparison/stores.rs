//! Where cargo and Go keep packages: each in a folder that its name and version name.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::package_of;
use super::listing::EntryState;
use super::notes::{is_cargo_note, is_go_note};
use super::{ComparedLayers, PACKAGES_FOLDER};

/// What a path below the folder of cargo and Go is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum StorePart<'p> {
    /// A note of cargo or Go.
    Note,
    /// What an index of cargo says of the crate of this name.
    CrateIndex(&'p str),
    /// The settings of an index: where its crates are.
    IndexSettings,
    /// A package; parts that come apart are told apart.
    Package {
        /// Its version as folders write it.
        key: String,
        /// Of what kind the path is.
        kind: &'p str,
    },
    Other,
}

impl<'p> StorePart<'p> {
    fn of_path(path: &'p str) -> Self {
        let below = path
            .strip_prefix(PACKAGES_FOLDER)
            .and_then(|p| p.strip_prefix('/'));
        let Some((manager, rest)) = below.and_then(|below| below.split_once('/')) else {
            return Self::Other;
        };
        match manager {
            "cargo" => Self::of_cargo(rest),
            "go" => Self::of_go(rest),
            _ => Self::Other,
        }
    }

    fn of_cargo(rest: &'p str) -> Self {
        if is_cargo_note(rest) {
            return Self::Note;
        }
        let names: Vec<&str> = rest.split('/').collect();
        match names.as_slice() {
            ["registry", "index", _, "config.json"] => Self::IndexSettings,
            ["registry", "index", _, ".cache", .., name] => Self::CrateIndex(name),
            ["registry", kind @ "src", _, leaf, _, ..] => Self::of_crate(leaf, kind),
            ["registry", kind @ "cache", _, leaf] => match leaf.strip_suffix(".crate") {
                Some(leaf) => Self::of_crate(leaf, kind),
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }

    fn of_crate(leaf: &str, kind: &'p str) -> Self {
        Self::Package {
            key: format!("crates {}", leaf.to_lowercase()),
            kind,
        }
    }

    /// A module is unpacked in `MODULE@VERSION`; what it is unpacked from is `MODULE/@v/VERSION.zip`.
    fn of_go(rest: &'p str) -> Self {
        if is_go_note(rest) {
            return Self::Note;
        }
        let key = |module: &str| format!("go {module}");
        if let Some(download) = rest.strip_prefix("cache/download/") {
            let named = download.rsplit_once("/@v/");
            let named = named.and_then(|(module, file)| Some((module, file.rsplit_once('.')?)));
            return match named {
                Some((module, (version, kind @ ("info" | "mod" | "zip" | "ziphash")))) => {
                    let kind = if kind == "ziphash" { "zip" } else { kind };
                    let key = key(&format!("{module}@{version}"));
                    Self::Package { key, kind }
                }
                Some(_) | None => Self::Other,
            };
        }
        let Some(at) = rest.find('@') else {
            return Self::Other;
        };
        match rest[at..].find('/') {
            Some(end) => Self::Package {
                key: key(&rest[..at + end]),
                kind: "zip",
            },
            None => Self::Other,
        }
    }
}

/// Whether a path is that of what an index of cargo says of a crate.
pub(super) fn is_crate_index(path: &str) -> bool {
    matches!(StorePart::of_path(path), StorePart::CrateIndex(_))
}

/// `go example.com/!a@v1` of `go:example.com/A@v1`; none for packages that are kept elsewhere.
fn store_key(version: &str) -> Option<String> {
    let (registry, rest) = version.split_once(':')?;
    let (name, number) = rest.rsplit_once('@')?;
    match registry {
        "crates" => Some(format!("crates {name}-{number}").to_lowercase()),
        "go" => Some(format!(
            "go {}@{}",
            escape_module(name),
            escape_module(number)
        )),
        _ => None,
    }
}

/// Large letters as Go writes them in names of folders.
fn escape_module(path: &str) -> String {
    let mut escaped = String::new();
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// The packages of cargo and Go of both layers.
pub(super) struct StoreComparison<'a> {
    layers: ComparedLayers<'a>,
    /// Parts of packages that the base's layer has.
    before: BTreeSet<StorePart<'a>>,
    after: BTreeSet<StorePart<'a>>,
    /// Versions by what their folders are called.
    versions: BTreeMap<String, &'a str>,
    /// Names of the crates that lock files list.
    crates: BTreeSet<&'a str>,
}

impl<'a> StoreComparison<'a> {
    pub(super) fn new(layers: ComparedLayers<'a>) -> Self {
        let parts = |paths: &'a BTreeMap<String, EntryState>| {
            let all = paths.keys().map(|path| StorePart::of_path(path));
            all.filter(|part| matches!(part, StorePart::Package { .. }))
                .collect()
        };
        let facts = layers.facts;
        let listed = facts.listed_before.iter().chain(&facts.listed_after);
        let known = listed.clone().chain(&facts.arrived);
        let crates = listed.filter_map(|version| package_of(version).strip_prefix("crates:"));
        Self {
            layers,
            before: parts(&layers.base.entries),
            after: parts(&layers.made.entries),
            versions: known
                .filter_map(|version| Some((store_key(version)?, version.as_str())))
                .collect(),
            crates: crates.collect(),
        }
    }

    /// Whether `path`, which differs, may do so.
    pub(super) fn explains_path(
        &self,
        path: &str,
        before: Option<&EntryState>,
        after: Option<&EntryState>,
    ) -> bool {
        let part = StorePart::of_path(path);
        match &part {
            StorePart::Note => !matches!(after, Some(EntryState::Link(_))),
            StorePart::IndexSettings => before.is_none(),
            StorePart::CrateIndex(name) => match (before, after) {
                (_, Some(EntryState::Link(_))) => false,
                (None, _) => true,
                (Some(_), Some(_)) => self.has_grown(path),
                (Some(_), None) => !self.crates.contains(name),
            },
            StorePart::Package { key, .. } => {
                let was_there = self.before.contains(&part);
                let is_there = self.after.contains(&part);
                let version = self.versions.get(key).copied();
                match (was_there, is_there) {
                    // It is there still, and not as it was.
                    (true, true) => false,
                    (true, false) => self.explains_gone(key, version),
                    (false, _) => version.is_some_and(|one| self.layers.facts.explains_new(one)),
                }
            }
            StorePart::Other => false,
        }
    }

    /// Whether a whole part of a package may be missing. `go.sum` keeps entries that nothing needs any more, so it does
    /// not say; a build that needs a module which is not there ends with an error and takes no other.
    fn explains_gone(&self, key: &str, version: Option<&str>) -> bool {
        let is_of_go = key.starts_with("go ");
        is_of_go || version.is_none_or(|one| self.layers.facts.explains_gone(one, false))
    }

    /// Whether an index still says what it said of each version.
    fn has_grown(&self, path: &str) -> bool {
        let lines = |listing: &'a super::LayerListing| listing.crate_lines.get(path);
        match (lines(self.layers.base), lines(self.layers.made)) {
            (Some(before), Some(after)) => before.is_subset(after),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_package_that_its_folder_names() {
        let package = |key: &str, kind| StorePart::Package {
            key: key.to_owned(),
            kind,
        };
        for (path, expected) in [
            (
                "cargo/registry/src/i/Num-1.0.0-rc.1/lib.rs",
                package("crates num-1.0.0-rc.1", "src"),
            ),
            (
                "cargo/registry/cache/i/num-1.0.0.crate",
                package("crates num-1.0.0", "cache"),
            ),
            (
                "cargo/registry/index/i/.cache/se/rd/serde",
                StorePart::CrateIndex("serde"),
            ),
            (
                "cargo/registry/index/i/config.json",
                StorePart::IndexSettings,
            ),
            ("cargo/config.toml", StorePart::Other),
            ("cargo/bin/cargo-x", StorePart::Other),
            ("cargo/registry/src/i/x", StorePart::Other),
            ("cargo/.package-cache", StorePart::Note),
            (
                "go/example.com/!big@v1.0.0/big.go",
                package("go example.com/!big@v1.0.0", "zip"),
            ),
            (
                "go/cache/download/example.com/!big/@v/v1.0.0.mod",
                package("go example.com/!big@v1.0.0", "mod"),
            ),
            (
                "go/cache/download/example.com/!big/@v/list",
                StorePart::Note,
            ),
            ("go/pkg/x", StorePart::Other),
            ("npm/x", StorePart::Other),
        ] {
            let path = format!("{PACKAGES_FOLDER}/{path}");
            assert_eq!(StorePart::of_path(&path), expected, "{path}");
        }
        let key = store_key("go:example.com/Big@v1.0.0").unwrap_or_default();
        assert_eq!(key, "go example.com/!big@v1.0.0");
        assert_eq!(store_key("npm:a@1"), None);
    }
}
