//! What is known from outside of a set-up about which packages it was to change.

use std::collections::BTreeSet;

use super::NodePlaces;

/// What lock files, manifests and registries say of the packages of a commit and of its base.
///
/// A version is written `npm:left-pad@1.3.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyFacts {
    /// Versions that the base's lock files list.
    pub listed_before: BTreeSet<String>,
    /// Versions that the commit's lock files list, and those of which it does not show that it took them away.
    pub listed_after: BTreeSet<String>,
    /// Folders that the base's lock files of npm name.
    pub places_before: NodePlaces,
    /// Folders that those of the commit name.
    pub places_after: NodePlaces,
    /// Versions that came in from registries for the set-up.
    pub arrived: BTreeSet<String>,
    /// Names of the Python packages that the base is the source of.
    pub own_before: BTreeSet<String>,
    /// Names of those that the commit is the source of.
    pub own_after: BTreeSet<String>,
}

impl DependencyFacts {
    /// Whether a version that the base's layer does not have may be there now: a lock file lists it, or none lists any
    /// of its package and it came from a registry. Lists that leave out what packages need themselves, as those for
    /// pip, are completed by the registry.
    pub(super) fn explains_new(&self, version: &str) -> bool {
        if holds_version(&self.listed_after, version) {
            return true;
        }
        let name = package_of(version);
        let is_listed = self.listed_after.iter().any(|one| package_of(one) == name);
        !is_listed && self.arrived.contains(version)
    }

    /// Whether a lock file of the commit lists `version`.
    pub(super) fn lists_version(&self, version: &str) -> bool {
        holds_version(&self.listed_after, version)
    }

    /// Whether a lock file of the commit lists `version`, and none of the base's does.
    pub(super) fn lists_anew(&self, version: &str) -> bool {
        holds_version(&self.listed_after, version) && !holds_version(&self.listed_before, version)
    }

    /// Whether a version of the base's layer may be gone: the lock files took it away, or another of the package
    /// `is_replaced` it, or what asked for it may have gone with its own entry.
    pub(super) fn explains_gone(&self, version: &str, is_replaced: bool) -> bool {
        if holds_version(&self.listed_after, version) {
            return false;
        }
        is_replaced
            || holds_version(&self.listed_before, version)
            || self.took_away(registry_of(version))
    }

    /// Whether the commit took an entry of `registry` out of the lock files, or they never had any.
    fn took_away(&self, registry: &str) -> bool {
        let of_registry = |one: &&String| registry_of(one) == registry;
        let mut before = self.listed_before.iter().filter(of_registry).peekable();
        let lists_any =
            before.peek().is_some() || self.listed_after.iter().any(|one| of_registry(&one));
        !lists_any || before.any(|one| !self.listed_after.contains(one))
    }
}

/// Whether `listed` has `version`, however it is written there.
fn holds_version(listed: &BTreeSet<String>, version: &str) -> bool {
    let package = format!("{}@", package_of(version));
    let wanted = canonical_version(version);
    let mut of_package = listed
        .range(package.clone()..)
        .take_while(|one| one.starts_with(&package));
    of_package.any(|one| canonical_version(one) == wanted)
}

/// A version as its registry compares it: for PyPI `3.0` is `3.0.0`, and `2023.07.22` is `2023.7.22`.
fn canonical_version(version: &str) -> String {
    let python = version
        .strip_prefix("pypi:")
        .and_then(|rest| rest.rsplit_once('@'));
    let Some((name, number)) = python else {
        return version.to_owned();
    };
    let number = number.to_lowercase();
    let number = number.trim_start_matches('v');
    let end = number.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (release, rest) = number.split_at(end.unwrap_or(number.len()));
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    };
    let mut parts: Vec<String> = release
        .trim_end_matches('.')
        .split('.')
        .map(plain)
        .collect();
    while parts.len() > 1 && parts.last().is_some_and(|last| last == "0") {
        parts.pop();
    }
    format!("pypi:{name}@{}{rest}", parts.join("."))
}

/// `npm:left-pad` of `npm:left-pad@1.3.0`.
pub(super) fn package_of(version: &str) -> &str {
    version.rsplit_once('@').map_or(version, |(name, _)| name)
}

fn registry_of(version: &str) -> &str {
    version
        .split_once(':')
        .map_or(version, |(registry, _)| registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_python_is_known_however_it_is_written() {
        let listed = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        for (written, version, is_held) in [
            ("pypi:flask@3.0", "pypi:flask@3.0.0", true),
            ("pypi:certifi@2023.07.22", "pypi:certifi@2023.7.22", true),
            ("pypi:a@V1.0RC1", "pypi:a@1.0rc1", true),
            ("pypi:a@1.0", "pypi:a@1.0.1", false),
            ("pypi:a@10", "pypi:a@1", false),
            ("pypi:a-b@1.0", "pypi:a@1.0", false),
            ("npm:a@1.0", "npm:a@1.0.0", false),
        ] {
            let listed: BTreeSet<String> = listed(&[written]);
            assert_eq!(
                holds_version(&listed, version),
                is_held,
                "{written} {version}"
            );
        }
    }
}
