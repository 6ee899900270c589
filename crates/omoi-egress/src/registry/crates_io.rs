//! Paths of the registry of crates: sparse index, files, and the site that older clients download from.

use super::{RegistryItem, is_made_of};

/// Longest name that the registry takes.
const NAME_BYTES_MAX: usize = 64;

/// Reads the path of the settings of the index or of one crate's versions.
pub(super) fn parse_index_path(path: &str) -> Option<RegistryItem> {
    let path = path.strip_prefix('/')?;
    if path == "config.json" {
        return Some(RegistryItem::CratesConfig);
    }
    let name = path.rsplit('/').next()?;
    // Every crate has one place: any other spelling of the folders is a message, not a request.
    let is_right_place = is_name(name) && path == index_path(name).trim_start_matches('/');
    let is_lower = name.bytes().all(|byte| !byte.is_ascii_uppercase());
    (is_right_place && is_lower).then(|| RegistryItem::CrateVersions {
        name: name.to_owned(),
    })
}

/// Reads the path of a crate's file, in both shapes that are in use.
pub(super) fn parse_file_path(path: &str) -> Option<RegistryItem> {
    let parts: Vec<&str> = path.strip_prefix("/crates/")?.split('/').collect();
    match parts[..] {
        [name, version, "download"] => crate_file(name, version),
        [name, file] => {
            let rest = file.strip_prefix(name)?.strip_prefix('-')?;
            crate_file(name, rest.strip_suffix(".crate")?)
        }
        _ => None,
    }
}

/// Reads the path that older clients download a crate at.
pub(super) fn parse_api_path(path: &str) -> Option<RegistryItem> {
    parse_file_path(
        path.strip_prefix("/api/v1")
            .filter(|path| path.ends_with("/download"))?,
    )
}

fn crate_file(name: &str, version: &str) -> Option<RegistryItem> {
    semver::Version::parse(version).ok()?;
    is_name(name).then(|| RegistryItem::CrateFile {
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

fn is_name(name: &str) -> bool {
    is_made_of(name, "-_") && name.len() <= NAME_BYTES_MAX
}

/// The path of a crate's versions in the index.
pub(crate) fn index_path(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.len() {
        1 => format!("/1/{name}"),
        2 => format!("/2/{name}"),
        3 => format!("/3/{}/{name}", &name[..1]),
        _ => format!("/{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// The path of a crate's file upstream.
pub(crate) fn crate_path(name: &str, version: &str) -> String {
    format!("/crates/{name}/{version}/download")
}
