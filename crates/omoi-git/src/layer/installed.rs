//! Single packages among those that a set-up installed, to tell which of them are not what they were.
//!
//! A package is named by its registry, as `npm:left-pad@1.3.0`, and found where its manager puts it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::package_tree::is_kept;

#[cfg(test)]
mod tests;

/// Folder of the workspace for packages that otherwise lie in a home folder.
pub const PACKAGES_FOLDER: &str = ".omoi-packages";

/// Longest list of files, or manifest, of one package that is read.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Files that say how a Python package was asked for, and the list that names them.
const OF_THE_INSTALLER: [&str; 4] = ["INSTALLER", "RECORD", "REQUESTED", "direct_url.json"];

/// Installed files, and the place of the workspace as those who installed them saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstalledTree<'a> {
    /// The folder.
    pub(crate) files: &'a Path,
    /// What scripts call that folder.
    pub(crate) work: &'a str,
}

type FileDigest = [u8; 32];

/// What each copy of a package sums up to, by the package's name.
type PackageSums = BTreeMap<String, BTreeSet<FileDigest>>;

/// Those of the packages `unchanged` that `made` does not have as `base` has them.
pub(crate) fn altered_packages(
    base: InstalledTree<'_>,
    made: InstalledTree<'_>,
    unchanged: &BTreeSet<String>,
) -> io::Result<Vec<String>> {
    let before = PackageFinder::new(base, unchanged)?.sum_packages()?;
    let after = PackageFinder::new(made, unchanged)?.sum_packages()?;
    let is_altered = |name: &String, sums: &BTreeSet<FileDigest>| {
        let now = after.get(name);
        now.is_none_or(|now| !now.is_subset(sums))
    };
    let altered = before.iter().filter(|(name, sums)| is_altered(name, sums));
    Ok(altered.map(|(name, _)| name.clone()).collect())
}

/// Finds packages by their places.
struct PackageFinder<'a> {
    tree: InstalledTree<'a>,
    /// The folder of the tree.
    root: OwnedFd,
    wanted: &'a BTreeSet<String>,
    /// Names of crates by that of their folder, in small letters.
    crates: BTreeMap<String, &'a str>,
    /// Names of Go modules by their folder.
    modules: BTreeMap<PathBuf, &'a str>,
    sums: PackageSums,
}

impl<'a> PackageFinder<'a> {
    fn new(tree: InstalledTree<'a>, wanted: &'a BTreeSet<String>) -> io::Result<Self> {
        let mut crates = BTreeMap::new();
        let mut modules = BTreeMap::new();
        for name in wanted {
            let Some((registry, (package, version))) = split_name(name) else {
                continue;
            };
            match registry {
                "crates" => {
                    let folder = format!("{package}-{version}").to_lowercase();
                    crates.insert(folder, name.as_str());
                }
                "go" => {
                    let folder = format!("{}@{}", escape_module(package), escape_module(version));
                    modules.insert(folder.into(), name.as_str());
                }
                _ => {}
            }
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, tree.files, flags, Mode::empty())?;
        // A kernel that cannot open so at all would find every file the same.
        open_beneath(&root, Path::new("."))?;
        Ok(Self {
            tree,
            root,
            wanted,
            crates,
            modules,
            sums: BTreeMap::new(),
        })
    }

    /// Looks at every folder; links are not followed.
    fn sum_packages(mut self) -> io::Result<PackageSums> {
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(self.tree.files.join(&folder))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    self.visit_folder(&path)?;
                    open.push(path);
                } else if kind.is_file() {
                    self.visit_file(&path)?;
                }
            }
        }
        Ok(self.sums)
    }

    fn visit_folder(&mut self, path: &Path) -> io::Result<()> {
        let below = path.strip_prefix(PACKAGES_FOLDER).ok();
        let name = match below {
            None if is_node_package(path) => self.node_name(path)?,
            None => return self.visit_dist_info(path),
            Some(below) => match (below.strip_prefix("go"), crate_folder(below, "src")) {
                (Ok(module), _) => self.modules.get(module).map(|name| (*name).to_owned()),
                (Err(_), leaf) => leaf.and_then(|leaf| self.crate_name(&leaf)),
            },
        };
        let Some(name) = name.filter(|name| self.wanted.contains(name)) else {
            return Ok(());
        };
        let mut sum = Sha256::new();
        add_folder(&mut sum, &self.tree.files.join(path), Path::new(""))?;
        self.note(name, sum);
        Ok(())
    }

    /// Archives that crates and modules are unpacked from.
    fn visit_file(&mut self, path: &Path) -> io::Result<()> {
        let Ok(below) = path.strip_prefix(PACKAGES_FOLDER) else {
            return Ok(());
        };
        let leaf = crate_folder(below, "cache");
        let leaf = leaf.as_deref().and_then(|leaf| leaf.strip_suffix(".crate"));
        let name = match (leaf, below.strip_prefix("go/cache/download")) {
            (Some(leaf), _) => self.crate_name(leaf),
            (None, Ok(download)) => module_of_download(download)
                .and_then(|module| self.modules.get(&module).map(|name| (*name).to_owned())),
            (None, Err(_)) => None,
        };
        if let Some(name) = name {
            let mut sum = Sha256::new();
            add_file(&mut sum, &self.tree.files.join(path))?;
            let kind = path.extension().unwrap_or_default().as_bytes();
            sum.update(kind);
            self.note(name, sum);
        }
        Ok(())
    }

    fn crate_name(&self, leaf: &str) -> Option<String> {
        let found = self.crates.get(&leaf.to_lowercase());
        found.map(|name| (*name).to_owned())
    }

    /// The name that the manifest of a package of npm says.
    fn node_name(&self, folder: &Path) -> io::Result<Option<String>> {
        let manifest = read_text(&self.tree.files.join(folder).join("package.json"))?;
        let manifest: Value = match manifest.map(|text| serde_json::from_str(&text)) {
            Some(Ok(manifest)) => manifest,
            Some(Err(_)) | None => return Ok(None),
        };
        let text = |key: &str| manifest.get(key).and_then(Value::as_str);
        let named = text("name").zip(text("version"));
        Ok(named.map(|(name, version)| format!("npm:{name}@{version}")))
    }

    /// The files that a Python package lists as its own, where `path` is its folder of descriptions.
    fn visit_dist_info(&mut self, path: &Path) -> io::Result<()> {
        let (Some(name), Some(place)) = (python_name(path), path.parent()) else {
            return Ok(());
        };
        if !self.wanted.contains(&name) {
            return Ok(());
        }
        let record = read_text(&self.tree.files.join(path).join("RECORD"))?;
        let listed: BTreeSet<String> = record
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(first_field)
            .filter(|file| is_own_file(file, path))
            .collect();
        let mut sum = Sha256::new();
        // A file has many names with `..` in them, and is read once.
        let mut read = BTreeSet::new();
        for file in listed {
            sum.update(file.as_bytes());
            let Some(inside) = fold_path(&place.join(&file)) else {
                continue;
            };
            if !read.insert(inside.clone()) {
                continue;
            }
            match open_beneath(&self.root, &inside) {
                Ok(open) => {
                    if self.add_script(&mut sum, open).is_err() {
                        sum.update([2]);
                    }
                }
                Err(Errno::NOENT) => sum.update([3]),
                // Reached over a link, or nobody may read it: not what it was where it could be read.
                Err(_) => sum.update([2]),
            }
        }
        self.note(name, sum);
        Ok(())
    }

    /// Adds a file, in which the place of the workspace may stand behind `#!`.
    fn add_script(&self, sum: &mut Sha256, mut open: File) -> io::Result<()> {
        if !open.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let shebang = format!("#!{}/", self.tree.work);
        let mut head = Vec::new();
        (&mut open)
            .take(shebang.len() as u64)
            .read_to_end(&mut head)?;
        match head == shebang.as_bytes() {
            true => sum.update(b"#!work/"),
            false => sum.update(&head),
        }
        io::copy(&mut open, sum)?;
        sum.update([0]);
        Ok(())
    }

    fn note(&mut self, name: String, sum: Sha256) {
        let sums = self.sums.entry(name).or_default();
        sums.insert(sum.finalize().into());
    }
}

/// `npm`, and `left-pad` with `1.3.0`.
fn split_name(name: &str) -> Option<(&str, (&str, &str))> {
    let (registry, rest) = name.split_once(':')?;
    Some((registry, rest.rsplit_once('@')?))
}

/// Whether a folder is that of a package of npm: right below `node_modules`, or below a scope there.
fn is_node_package(path: &Path) -> bool {
    let mut names = path.iter().rev().map(|part| part.to_string_lossy());
    let (leaf, parent) = (names.next(), names.next());
    let is_package = leaf.is_some_and(|leaf| !leaf.starts_with(['.', '@']));
    match parent.as_deref() {
        Some("node_modules") => is_package,
        Some(scope) if scope.starts_with('@') => {
            is_package && names.next().as_deref() == Some("node_modules")
        }
        _ => false,
    }
}

/// The last name of `cargo/registry/KIND/INDEX/NAME`.
fn crate_folder(below: &Path, kind: &str) -> Option<String> {
    let rest = below.strip_prefix("cargo/registry").ok()?;
    let names: Vec<_> = rest.iter().map(|part| part.to_string_lossy()).collect();
    match names.as_slice() {
        [first, _, leaf] if first == kind => Some(leaf.to_string()),
        _ => None,
    }
}

/// The folder of the module that `MODULE/@v/VERSION.zip`, or a file like it, belongs to.
fn module_of_download(download: &Path) -> Option<PathBuf> {
    let kind = download.extension()?.to_str()?;
    let is_content = matches!(kind, "zip" | "mod" | "info" | "ziphash");
    let (version, folder) = (download.file_stem()?.to_str()?, download.parent()?);
    let module = folder.parent().filter(|_| folder.ends_with("@v"))?;
    is_content.then(|| PathBuf::from(format!("{}@{version}", module.display())))
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

/// The package of `NAME-VERSION.dist-info`.
fn python_name(path: &Path) -> Option<String> {
    let folder = path.file_name()?.to_str()?.strip_suffix(".dist-info")?;
    let (name, version) = folder.rsplit_once('-')?;
    let plain = name.replace(['_', '.'], "-").to_lowercase();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    Some(format!("pypi:{}@{version}", parts.join("-")))
}

/// The first field of a line of comma-separated values.
fn first_field(line: &str) -> Option<String> {
    let field = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",")?.0.replace("\"\"", "\""),
        None => line.split(',').next()?.to_owned(),
    };
    (!field.is_empty()).then_some(field)
}

/// Whether a listed file is of the package, not of who installed it, and no bytecode.
fn is_own_file(file: &str, dist_info: &Path) -> bool {
    let path = Path::new(file);
    let is_described = path.parent().map(Path::as_os_str) == dist_info.file_name();
    let name = path.file_name().and_then(|name| name.to_str());
    let is_of_installer = is_described && name.is_some_and(|n| OF_THE_INSTALLER.contains(&n));
    !is_of_installer && path.extension().is_none_or(|end| end != "pyc")
}

/// A path without `..`; none when it leads out.
fn fold_path(path: &Path) -> Option<PathBuf> {
    let mut folded = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => folded.push(name),
            Component::CurDir => {}
            Component::ParentDir => folded.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(folded)
}

/// Opens a file that lies beneath `root` and is reached without links; what else is there never holds up who reads.
fn open_beneath(root: &OwnedFd, path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).map(File::from)
}

fn read_text(path: &Path) -> io::Result<Option<String>> {
    let file = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => File::open(path)?,
        _ => return Ok(None),
    };
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).ok())
}

/// Adds all that a layer keeps of a folder, but packages that have their own place below it.
fn add_folder(sum: &mut Sha256, folder: &Path, below: &Path) -> io::Result<()> {
    let mut names = std::fs::read_dir(folder.join(below))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = below.join(&name);
        let place = folder.join(&path);
        let meta = std::fs::symlink_metadata(&place)?;
        if !is_kept(&path, &meta) || name == "node_modules" {
            continue;
        }
        sum.update(path.as_os_str().as_bytes());
        if meta.is_dir() {
            sum.update([0]);
            add_folder(sum, folder, &path)?;
        } else if meta.is_symlink() {
            sum.update([1]);
            sum.update(std::fs::read_link(&place)?.as_os_str().as_bytes());
        } else {
            add_file(sum, &place)?;
        }
    }
    Ok(())
}

fn add_file(sum: &mut Sha256, file: &Path) -> io::Result<()> {
    let open = File::open(file)?;
    let meta = open.metadata()?;
    let runs = meta.permissions().mode() & 0o100 != 0;
    sum.update([2 + u8::from(runs)]);
    sum.update(meta.len().to_le_bytes());
    io::copy(&mut &open, sum)?;
    Ok(())
}
