//! Paths of the registry of Python projects: the simple index and the files.

use std::borrow::Cow;

use super::{RegistryItem, is_made_of, is_path_part};

/// The path that the projects of an index lie below, where its row does not name another.
pub const SIMPLE_PATH: &str = "/simple/";
/// Parts that the path of a file may have.
const PATH_PARTS_MAX: usize = 16;
/// Longest name of a project that is asked for.
const NAME_BYTES_MAX: usize = 128;

/// Reads the path of a project in the simple index, or of one version in the older one, which Poetry asks. The list of
/// all projects is not served.
pub(super) fn parse_index_path(path: &str) -> Option<RegistryItem> {
    if let Some(rest) = path.strip_prefix("/pypi/") {
        return parse_release_path(rest);
    }
    parse_project_path(path, SIMPLE_PATH)
}

/// Reads a path of an index of one organisation. Such an index often has the files too, at paths of its own: they are
/// asked for at the registry only where its documents list them.
pub(super) fn parse_own_path(path: &str, simple_path: &str) -> Option<RegistryItem> {
    parse_project_path(&plain_path(path), simple_path)
        .or_else(|| parse_release_path(path.strip_prefix("/pypi/")?))
        .or_else(|| parse_own_file_path(path))
}

fn parse_project_path(path: &str, simple_path: &str) -> Option<RegistryItem> {
    let name = path.strip_prefix(simple_path)?;
    let name = name.strip_suffix('/').unwrap_or(name);
    is_name(name).then(|| RegistryItem::PypiProject {
        name: normalise_name(name),
    })
}

/// A path with the characters that pip writes by their numbers. Any other `%` stays, and is no part of a path.
pub(crate) fn plain_path(path: &str) -> Cow<'_, str> {
    match path.contains('%') {
        true => path
            .replace("%2B", "+")
            .replace("%2b", "+")
            .replace("%21", "!")
            .into(),
        false => path.into(),
    }
}

/// Whether `path` can be the one that projects lie below.
pub(crate) fn is_simple_path(path: &str) -> bool {
    let inner = path
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'));
    inner.is_some_and(|inner| inner.split('/').all(is_path_part) && path.len() <= 255)
}

fn parse_release_path(rest: &str) -> Option<RegistryItem> {
    let (name, version) = rest.strip_suffix("/json")?.split_once('/')?;
    let is_shaped = is_name(name) && is_version(version);
    is_shaped.then(|| RegistryItem::PypiRelease {
        name: normalise_name(name),
        version: version.to_owned(),
    })
}

fn is_version(version: &str) -> bool {
    is_made_of(version, "-_.+!") && version.len() <= NAME_BYTES_MAX
}

/// Reads the path of a file, or of the metadata that stands beside it.
pub(super) fn parse_file_path(path: &str) -> Option<RegistryItem> {
    let n_parts = path.strip_prefix("/packages/")?.split('/').count();
    (2..=8)
        .contains(&n_parts)
        .then(|| parse_own_file_path(path))?
}

/// Reads the path of a file wherever it lies.
pub(super) fn parse_own_file_path(path: &str) -> Option<RegistryItem> {
    let path = &*plain_path(path);
    let (path, is_metadata) = match path.strip_suffix(".metadata") {
        Some(file) => (file, true),
        None => (path, false),
    };
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let is_shaped = parts.len() <= PATH_PARTS_MAX && parts.iter().all(|part| is_path_part(part));
    let (name, _) = split_file_name(parts.last()?)?;
    is_shaped.then(|| RegistryItem::PypiFile {
        name,
        path: path.to_owned(),
        is_metadata,
    })
}

fn is_name(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    is_made_of(name, "-_.")
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name.len() <= NAME_BYTES_MAX
}

/// The one spelling of a project's name: lower case, runs of `-`, `_` and `.` as one `-`.
pub fn normalise_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    parts.join("-").to_ascii_lowercase()
}

/// Project, normalised, and version that the name of a wheel or of a source archive tells.
pub(crate) fn split_file_name(file: &str) -> Option<(String, String)> {
    let (name, version) = if let Some(stem) = file.strip_suffix(".whl") {
        let mut parts = stem.splitn(3, '-');
        (parts.next()?, parts.next()?)
    } else {
        let endings = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"];
        let stem = endings
            .iter()
            .find_map(|ending| file.strip_suffix(ending))?;
        stem.rsplit_once('-')?
    };
    let is_whole = is_name(name) && is_version(version);
    is_whole.then(|| (normalise_name(name), version.to_owned()))
}

/// The path of a project in an index whose projects lie below `simple_path`.
pub(crate) fn project_path(simple_path: &str, name: &str) -> String {
    format!("{simple_path}{name}/")
}
