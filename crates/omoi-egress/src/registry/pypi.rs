//! Paths of the registry of Python projects: the simple index and the files.

use super::{RegistryItem, is_made_of, is_path_part};

/// Longest name of a project that is asked for.
const NAME_BYTES_MAX: usize = 128;

/// Reads the path of a project in the simple index, or of one version in the older one, which Poetry asks. The list of
/// all projects is not served.
pub(super) fn parse_index_path(path: &str) -> Option<RegistryItem> {
    if let Some(rest) = path.strip_prefix("/pypi/") {
        return parse_release_path(rest);
    }
    let name = path.strip_prefix("/simple/")?;
    let name = name.strip_suffix('/').unwrap_or(name);
    is_name(name).then(|| RegistryItem::PypiProject {
        name: normalise_name(name),
    })
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
    let rest = path.strip_prefix("/packages/")?;
    let (file_path, is_metadata) = match rest.strip_suffix(".metadata") {
        Some(file) => (file, true),
        None => (rest, false),
    };
    let parts: Vec<&str> = file_path.split('/').collect();
    let is_shaped = (2..=8).contains(&parts.len()) && parts.iter().all(|part| is_path_part(part));
    let (name, _) = split_file_name(parts.last()?)?;
    is_shaped.then(|| RegistryItem::PypiFile {
        name,
        path: format!("/packages/{file_path}"),
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

/// The path of a project upstream.
pub(crate) fn project_path(name: &str) -> String {
    format!("/simple/{name}/")
}
