//! Python packages: the files that each lists as its own, and the environment around them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::facts::package_of;
use super::listing::EntryState;
use super::notes::is_python_note;
use super::{ComparedLayers, LayerListing};

/// Modules that Python imports at every start, whoever they belong to: as a file, a folder or compiled.
const AT_EVERY_START: [&str; 2] = ["sitecustomize", "usercustomize"];
/// A list of paths of this length holds more than paths.
const PATH_LIST_BYTES_MAX: usize = 1 << 20;
/// Files that setuptools writes beside the source of an editable package.
const OF_EGG_INFO: [&str; 8] = [
    "PKG-INFO",
    "SOURCES.txt",
    "dependency_links.txt",
    "entry_points.txt",
    "not-zip-safe",
    "requires.txt",
    "top_level.txt",
    "zip-safe",
];

/// A package, as its folder of descriptions tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PythonPackage {
    /// As `pypi:words@1.0`.
    version: String,
    /// The files that it lists, but notes of who installed it.
    files: BTreeSet<String>,
}

impl PythonPackage {
    /// The package that `dist_info` describes, whose list of files is `record`.
    pub(super) fn parse(dist_info: &str, record: &str) -> Option<Self> {
        let (place, leaf) = dist_info.rsplit_once('/').unwrap_or(("", dist_info));
        let (name, version) = leaf.strip_suffix(".dist-info")?.rsplit_once('-')?;
        let listed = record.lines().filter_map(first_field);
        let inside = listed.filter_map(|file| fold_path(&Path::new(place).join(file)));
        let files = inside.filter(|file| {
            let note = file
                .strip_prefix(dist_info)
                .and_then(|rest| rest.strip_prefix('/'));
            let is_note = note.is_some_and(|note| note == "RECORD" || is_python_note(note));
            !is_note && file.strip_suffix(".pyc").is_none()
        });
        Some(Self {
            version: format!("pypi:{}@{version}", canonical_name(name)),
            files: files.collect(),
        })
    }

    /// The files that it lists.
    #[cfg(test)]
    pub(super) fn listed_files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    fn name(&self) -> &str {
        package_of(&self.version).trim_start_matches("pypi:")
    }
}

/// Whether Python reads `path` at every start: a list of further paths, right in a folder of packages.
pub(super) fn is_path_list(path: &str) -> bool {
    let Some((folder, leaf)) = path.rsplit_once('/') else {
        return false;
    };
    let is_site = ["site-packages", "dist-packages"]
        .iter()
        .any(|name| folder.rsplit('/').next() == Some(name));
    is_site && leaf.strip_suffix(".pth").is_some()
}

/// Whether Python runs a line of such a list. One that is too long to be read whole may hold anything.
pub(super) fn runs_code(list: &str) -> bool {
    let mut lines = list.trim_start_matches('\u{feff}').split(['\n', '\r']);
    let is_code = |line: &str| line.starts_with("import ") || line.starts_with("import\t");
    list.len() >= PATH_LIST_BYTES_MAX || lines.any(is_code)
}

/// A name as PyPI compares it.
fn canonical_name(name: &str) -> String {
    let plain = name.replace(['_', '.'], "-").to_lowercase();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// The first field of a line of comma-separated values.
fn first_field(line: &str) -> Option<String> {
    let field = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",")?.0.replace("\"\"", "\""),
        None => line.split(',').next()?.to_owned(),
    };
    (!field.is_empty()).then_some(field)
}

/// A path without `..`; none when it leads out.
fn fold_path(path: &Path) -> Option<String> {
    let mut folded = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => folded.push(name),
            Component::CurDir => {}
            Component::ParentDir => folded.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    folded.into_os_string().into_string().ok()
}

/// Folders that describe packages, by the files of those.
struct FileOwners<'a> {
    listing: &'a LayerListing,
    by_file: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> FileOwners<'a> {
    fn new(listing: &'a LayerListing) -> Self {
        let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (dist_info, package) in &listing.python_packages {
            for file in &package.files {
                by_file.entry(file).or_default().push(dist_info);
            }
        }
        Self { listing, by_file }
    }

    /// Who lists `path`, or describes a package by it.
    fn of_path(&self, path: &str) -> Vec<&'a str> {
        let mut owners = self.by_file.get(path).cloned().unwrap_or_default();
        let described = path.rsplit_once('/').and_then(|(folder, _)| {
            let known = self.listing.python_packages.get_key_value(folder);
            known.map(|(dist_info, _)| dist_info.as_str())
        });
        owners.extend(described.filter(|one| !owners.contains(one)));
        owners
    }

    fn package(&self, dist_info: &str) -> Option<&'a PythonPackage> {
        self.listing.python_packages.get(dist_info)
    }
}

/// The Python packages of both layers.
pub(super) struct PythonComparison<'a> {
    layers: ComparedLayers<'a>,
    base: FileOwners<'a>,
    made: FileOwners<'a>,
    /// Names of packages that the project itself is the source of, before and now.
    own_before: BTreeSet<String>,
    own_after: BTreeSet<String>,
}

impl<'a> PythonComparison<'a> {
    pub(super) fn new(layers: ComparedLayers<'a>) -> Self {
        let names = |all: &BTreeSet<String>| -> BTreeSet<String> {
            all.iter().map(|name| canonical_name(name)).collect()
        };
        let own_before = names(&layers.facts.own_before);
        // A project cannot take the name of a package that was installed for it.
        let installed = layers.base.python_packages.values();
        let installed: BTreeSet<&str> = installed.map(PythonPackage::name).collect();
        let mut own_after = names(&layers.facts.own_after);
        own_after.retain(|name| own_before.contains(name) || !installed.contains(name.as_str()));
        Self {
            layers,
            base: FileOwners::new(layers.base),
            made: FileOwners::new(layers.made),
            own_before,
            own_after,
        }
    }

    /// Whether `path`, which differs, may do so.
    pub(super) fn explains_path(
        &self,
        path: &str,
        before: Option<&EntryState>,
        after: Option<&EntryState>,
    ) -> bool {
        if self.is_own_description(path) {
            return !matches!(after, Some(EntryState::Link(_)));
        }
        if self.is_installer_note(path) {
            return matches!(after, None | Some(EntryState::Plain { .. }));
        }
        let (owners, earlier) = (self.made.of_path(path), self.base.of_path(path));
        let may_go = || !earlier.is_empty() && earlier.iter().all(|one| self.is_gone(one));
        let may_come = || {
            let is_at_start = path.split('/').any(|part| {
                let module = part.split('.').next().unwrap_or(part);
                AT_EVERY_START.contains(&module)
            });
            let holds_code = self.layers.made.start_code.contains(path);
            let is_explained = |one: &&str| {
                self.is_new(one)
                    && self.is_within(one, path)
                    && (!holds_code || self.is_listed_anew(one))
            };
            !is_at_start && !owners.is_empty() && owners.iter().all(is_explained)
        };
        (before.is_none() || may_go()) && (after.is_none() || may_come())
    }

    /// Lists of unchanged packages that name other files than before.
    pub(super) fn altered_lists(&self) -> Vec<String> {
        let made = self.layers.made.python_packages.iter();
        let altered = made.filter(|(dist_info, package)| {
            let before = self.base.package(dist_info);
            before.is_some_and(|before| before.files != package.files) && !self.is_new(dist_info)
        });
        altered
            .map(|(dist_info, _)| format!("{dist_info}/RECORD"))
            .collect()
    }

    /// Whether the lock files explain that a package is there, or is another than before.
    fn is_new(&self, dist_info: &str) -> bool {
        let Some(package) = self.made.package(dist_info) else {
            return false;
        };
        if self.own_after.contains(package.name()) {
            return true;
        }
        let is_known = self.base.package(dist_info).is_some();
        !is_known && self.layers.facts.explains_new(&package.version)
    }

    /// Whether an entry of a lock file that the base does not have names the package in its version. None names one of
    /// the project itself.
    fn is_listed_anew(&self, dist_info: &str) -> bool {
        let Some(package) = self.made.package(dist_info) else {
            return false;
        };
        let is_own = self.own_after.contains(package.name());
        !is_own && self.layers.facts.lists_anew(&package.version)
    }

    /// Whether the lock files explain that a package is no more what the base's layer has.
    fn is_gone(&self, dist_info: &str) -> bool {
        let Some(package) = self.base.package(dist_info) else {
            return false;
        };
        if self.own_before.contains(package.name()) {
            return true;
        }
        let mut others = self.layers.made.python_packages.iter();
        let is_replaced = others.any(|(other, new)| {
            new.name() == package.name() && other != dist_info && self.is_new(other)
        });
        let is_there = self.made.package(dist_info).is_some();
        !is_there
            && self
                .layers
                .facts
                .explains_gone(&package.version, is_replaced)
    }

    /// Whether a package described by `dist_info` may have a file at `path`: in an environment that the base has too,
    /// and that is not what makes it one.
    fn is_within(&self, dist_info: &str, path: &str) -> bool {
        let site = dist_info.rsplit_once('/').map_or("", |(site, _)| site);
        let Some(environment) = environment_of(site) else {
            let mut others = self.layers.base.python_packages.keys();
            let is_site = others.any(|one| one.rsplit_once('/').map_or("", |(s, _)| s) == site);
            return is_site && is_below(path, site);
        };
        let settings = format!("{environment}/pyvenv.cfg");
        let is_known = self.layers.base.entries.contains_key(&settings);
        is_known && path != settings && is_below(path, environment)
    }

    /// Whether `path` is a note of who installed a package, or the list that names its files.
    fn is_installer_note(&self, path: &str) -> bool {
        let Some((folder, leaf)) = path.rsplit_once('/') else {
            return false;
        };
        let is_described =
            self.base.package(folder).is_some() && self.made.package(folder).is_some();
        is_described && (leaf == "RECORD" || is_python_note(leaf))
    }

    /// Whether `path` describes a package of the project beside its source.
    fn is_own_description(&self, path: &str) -> bool {
        let mut parts = path.rsplit('/');
        let (leaf, folder) = (parts.next(), parts.next());
        let name = folder.and_then(|folder| folder.strip_suffix(".egg-info"));
        let is_own = name.is_some_and(|name| {
            let name = canonical_name(name);
            self.own_after.contains(&name) || self.own_before.contains(&name)
        });
        is_own && leaf.is_some_and(|leaf| OF_EGG_INFO.contains(&leaf))
    }
}

/// The environment that `lib/python3.12/site-packages` is of.
fn environment_of(site: &str) -> Option<&str> {
    let (library, _) = site
        .strip_suffix("/site-packages")?
        .rsplit_once("/python")?;
    library
        .strip_suffix("/lib")
        .or_else(|| library.strip_suffix("/lib64"))
}

fn is_below(path: &str, folder: &str) -> bool {
    let below = path
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'));
    below.is_some() && !folder.is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_list_that_leads_out_names_nothing_there() {
        let folded = |path: &str| fold_path(Path::new(path));
        assert_eq!(folded("a/../b/./c").as_deref(), Some("b/c"));
        assert_eq!(folded("a/../../etc/passwd"), None);
        assert_eq!(folded("/etc/passwd"), None);
        assert_eq!(first_field("\"a,\"\"b\",x,1"), Some("a,\"b".into()));
        assert_eq!(first_field(""), None);
    }

    #[test]
    fn code_in_a_list_of_paths_is_seen() {
        for (text, expected) in [
            ("/work/src\n# import os\n", false),
            ("", false),
            (" import os\n", false),
            ("important/path\n", false),
            ("import os; os.abort()", true),
            ("/work/src\r\nimport os\r\n", true),
            ("# a\rimport os", true),
            ("\u{feff}import\tos\n", true),
        ] {
            assert_eq!(runs_code(text), expected, "{text:?}");
        }
        assert!(runs_code(&"#".repeat(PATH_LIST_BYTES_MAX)));
        let site = ".venv/lib/python3.11/site-packages";
        assert!(is_path_list(&format!("{site}/a.pth")));
        for path in ["a.pth", "src/a.pth"] {
            assert!(!is_path_list(path), "{path}");
        }
        // Weights of a model.
        assert!(!is_path_list(&format!("{site}/vision/model.pth")));
    }

    #[test]
    fn a_package_lists_its_files_and_no_notes() {
        let record = "words.py,sha256=x,6\n../../../bin/words,,\n../../../../../out,,\nW_l-1.0.dist-info/RECORD,,\n\
            W_l-1.0.dist-info/REQUESTED,,\nW_l-1.0.dist-info/METADATA,,\n__pycache__/words.cpython-311.pyc,,\n";
        let site = ".venv/lib/python3.11/site-packages";
        let found = PythonPackage::parse(&format!("{site}/W_l-1.0.dist-info"), record).unwrap();
        assert_eq!(found.version, "pypi:w-l@1.0");
        let expected = [
            ".venv/bin/words".to_owned(),
            format!("{site}/W_l-1.0.dist-info/METADATA"),
            format!("{site}/words.py"),
        ];
        assert_eq!(found.files, expected.into());
        assert_eq!(environment_of(site), Some(".venv"));
        assert_eq!(environment_of("vendor"), None);
    }
}
