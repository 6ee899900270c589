//! Paths of npm's registry.

use super::{RegistryItem, is_made_of, is_path_part};

/// Longest name that npm takes.
const NAME_BYTES_MAX: usize = 214;

/// Reads the path of a packument, a manifest or a tarball.
pub(super) fn parse_path(path: &str) -> Option<RegistryItem> {
    let path = path.strip_prefix('/')?;
    // Clients write the slash of a scoped name in either way.
    let decoded = match path.strip_prefix('@') {
        Some(rest) => format!("@{}", rest.replacen("%2f", "/", 1).replacen("%2F", "/", 1)),
        None => path.to_owned(),
    };
    let mut parts = decoded.split('/');
    let mut name = parts.next()?.to_owned();
    if name.starts_with('@') {
        name = format!("{name}/{}", parts.next()?);
    }
    if !is_name(&name) {
        return None;
    }
    let rest: Vec<&str> = parts.collect();
    match rest[..] {
        [] => Some(RegistryItem::NpmPackument { name }),
        [version] if is_path_part(version) && version != "-" => Some(RegistryItem::NpmManifest {
            name,
            version: version.to_owned(),
        }),
        ["-", file] if is_path_part(file) && file.strip_suffix(".tgz").is_some() => {
            let file = file.to_owned();
            Some(RegistryItem::NpmTarball { name, file })
        }
        _ => None,
    }
}

/// Whether npm would take `name` for a package. Old packages have capitals.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        is_made_of(part, "-_.~") && !part.starts_with('.') && !part.starts_with('_') && part != "-"
    };
    let is_shaped = match name.strip_prefix('@') {
        Some(rest) => rest
            .split_once('/')
            .is_some_and(|(scope, name)| is_part(scope) && is_part(name)),
        None => is_part(name),
    };
    is_shaped && name.len() <= NAME_BYTES_MAX
}

/// The path of a packument upstream.
pub(crate) fn packument_path(name: &str) -> String {
    format!("/{}", name.replace('/', "%2f"))
}

/// The path of a file upstream.
pub(crate) fn tarball_path(name: &str, file: &str) -> String {
    format!("/{name}/-/{file}")
}
