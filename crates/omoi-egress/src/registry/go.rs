//! Paths of Go's module proxy and of its database of sums.

use super::{RegistryItem, is_made_of};
use crate::package::{PackageName, PackageRegistry};

/// Longest path of a module that is asked for.
const MODULE_BYTES_MAX: usize = 256;
/// Longest version.
const VERSION_BYTES_MAX: usize = 128;

/// Reads the path of a list, a version's facts or a file of a module.
pub(super) fn parse_module_path(path: &str) -> Option<RegistryItem> {
    // Clients ask first whether the proxy passes the database of sums on. It does not, and they go there.
    if path.starts_with("/sumdb/sum.golang.org/") {
        return Some(RegistryItem::GoSumProbe);
    }
    let path = path.strip_prefix('/')?;
    if let Some(module) = path.strip_suffix("/@latest") {
        return go_document(module, "latest");
    }
    let (module, file) = path.split_once("/@v/")?;
    if file == "list" {
        return go_document(module, "list");
    }
    let (version, ending) = file.rsplit_once('.')?;
    let is_shaped = is_module(module) && is_version(version);
    match ending {
        "info" if is_shaped => go_document(module, version),
        "mod" | "zip" if is_shaped => Some(RegistryItem::GoFile {
            module: module.to_owned(),
            version: version.to_owned(),
            is_zip: ending == "zip",
        }),
        _ => None,
    }
}

fn go_document(module: &str, version: &str) -> Option<RegistryItem> {
    is_module(module).then(|| RegistryItem::GoDocument {
        module: module.to_owned(),
        version: version.to_owned(),
    })
}

/// Reads the path of a lookup in the database of sums, or of a part of its tree.
pub(super) fn parse_sum_path(path: &str) -> Option<RegistryItem> {
    if let Some(rest) = path.strip_prefix("/lookup/") {
        let (module, version) = rest.split_once('@')?;
        let is_shaped = is_module(module) && is_version(version);
        return is_shaped.then(|| RegistryItem::GoLookup {
            module: module.to_owned(),
            version: version.to_owned(),
        });
    }
    let is_part = path == "/supported"
        || path == "/latest"
        || path.strip_prefix("/tile/").is_some_and(is_tile);
    is_part.then(|| RegistryItem::GoSums {
        path: path.to_owned(),
    })
}

/// Whether the first parts of a module's path are those of `pattern`, in which `*` stands for letters of one
/// part, as in `GOPRIVATE`.
pub(crate) fn matches_pattern(module: &str, pattern: &str) -> bool {
    let mut parts = module.split('/');
    let mut wanted = pattern.trim_end_matches('/').split('/');
    !pattern.is_empty()
        && wanted.all(|wanted| parts.next().is_some_and(|part| is_part_of(part, wanted)))
}

fn is_part_of(part: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => part == pattern,
        Some((front, rest)) => part.strip_prefix(front).is_some_and(|part| {
            let ends = part.char_indices().map(|(at, _)| at).chain([part.len()]);
            ends.into_iter().any(|at| is_part_of(&part[at..], rest))
        }),
    }
}

/// Height, level, and the number of a tile in groups of three digits, maybe with the width of a part of one.
fn is_tile(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_number = |text: &str| {
        !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [height, level, number @ ..] = parts.as_slice() else {
        return false;
    };
    let (number, width) = match number {
        [number @ .., last, width] => match last.strip_suffix(".p") {
            Some(last) => ([number, &[last]].concat(), Some(*width)),
            None => ([number, &[*last, *width]].concat(), None),
        },
        number => (number.to_vec(), None),
    };
    let Some((last, groups)) = number.split_last() else {
        return false;
    };
    is_number(height)
        && (is_number(level) || *level == "data")
        && groups.len() <= 4
        && groups
            .iter()
            .all(|group| group.strip_prefix('x').is_some_and(is_number))
        && is_number(last)
        && width.is_none_or(is_number)
}

/// Whether `module` is the path of a module in its escaped form: `!` before a letter that is a capital.
fn is_module(module: &str) -> bool {
    let is_part = |part: &str| {
        is_made_of(part, "-._~!")
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.bytes().all(|byte| !byte.is_ascii_uppercase())
    };
    let mut parts = module.split('/');
    let host = parts.next().unwrap_or_default();
    module.len() <= MODULE_BYTES_MAX
        && host.contains('.')
        && is_part(host)
        && parts.all(is_part)
        && unescape_module(module).is_some()
}

fn is_version(version: &str) -> bool {
    let rest = version.strip_prefix('v').unwrap_or_default();
    version.len() <= VERSION_BYTES_MAX
        && rest.starts_with(|c: char| c.is_ascii_digit())
        && is_made_of(rest, "-.+!")
        && unescape_module(version).is_some()
}

/// A path or version as people write it; `None` when it is not escaped in the one right way.
pub(crate) fn unescape_module(escaped: &str) -> Option<String> {
    let mut plain = String::with_capacity(escaped.len());
    let mut letters = escaped.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '!' => {
                let small = letters.next().filter(char::is_ascii_lowercase)?;
                plain.push(small.to_ascii_uppercase());
            }
            'A'..='Z' => return None,
            _ => plain.push(letter),
        }
    }
    Some(plain)
}

/// The module as a package, spelled as people write it.
pub(crate) fn module_package(escaped: &str) -> PackageName {
    let plain = unescape_module(escaped).unwrap_or_else(|| escaped.to_owned());
    PackageName::new(PackageRegistry::Go, plain)
}

/// The path of a document about a module upstream: `list`, `latest` or a version.
pub(crate) fn document_path(module: &str, version: &str) -> String {
    match version {
        "latest" => format!("/{module}/@latest"),
        "list" => format!("/{module}/@v/list"),
        version => format!("/{module}/@v/{version}.info"),
    }
}

/// The path of a file upstream.
pub(crate) fn file_path(module: &str, version: &str, is_zip: bool) -> String {
    let ending = if is_zip { "zip" } else { "mod" };
    format!("/{module}/@v/{version}.{ending}")
}

/// The path in the database of sums.
pub(crate) fn lookup_path(module: &str, version: &str) -> String {
    format!("/lookup/{module}@{version}")
}
