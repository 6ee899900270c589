//! Lock files of package managers: which versions a project has, so that those come in at any age.
//!
//! Read line by line, as their writers lay them out. What is not understood lists nothing.

mod places;

use std::collections::BTreeSet;

use omoi_domain::lock_file::LockFileKind;
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use serde_json::Value;

use crate::package::{PackageName, PackageRegistry, PackageVersion};

pub use places::{LockedPlace, locked_places};

/// Versions that lock files of one project may list.
const VERSIONS_MAX: usize = 50_000;
/// How deep the dependencies of an old `package-lock.json` are followed.
const DEPTH_MAX: usize = 64;

/// The versions from registries that the lock file `path` lists.
pub fn locked_versions(path: &str, content: &[u8]) -> BTreeSet<PackageVersion> {
    let Ok(text) = std::str::from_utf8(content) else {
        return BTreeSet::new();
    };
    let Some(kind) = LockFileKind::of_path(path) else {
        return BTreeSet::new();
    };
    let found: Vec<PackageVersion> = match kind {
        LockFileKind::PackageLock | LockFileKind::NpmShrinkwrap => npm_versions(text),
        LockFileKind::Yarn => yarn_versions(text),
        LockFileKind::Pnpm => pnpm_versions(text),
        LockFileKind::Bun => bun_versions(text),
        LockFileKind::BunBinary => Vec::new(),
        LockFileKind::Cargo => table_versions(text, PackageRegistry::Crates),
        LockFileKind::Uv | LockFileKind::Poetry | LockFileKind::Pdm => {
            table_versions(text, PackageRegistry::Pypi)
        }
        LockFileKind::Pipfile => pipfile_versions(text),
        LockFileKind::RequirementsLock | LockFileKind::Requirements => requirement_versions(text),
        LockFileKind::GoSum => go_versions(text),
    };
    let most = match is_planted(PlantedBug::ParserLimit) {
        true => found.len(),
        false => VERSIONS_MAX,
    };
    found.into_iter().take(most).collect()
}

fn version_of(registry: PackageRegistry, name: &str, version: &str) -> Option<PackageVersion> {
    format!("{registry}:{name}@{version}").parse().ok()
}

/// Both layouts of npm's: by folder, and of old by name.
fn npm_versions(text: &str) -> Vec<PackageVersion> {
    let Ok(lock) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let folders = lock.get("packages").and_then(Value::as_object);
    for (folder, entry) in folders.into_iter().flatten() {
        let Some((_, below)) = folder.rsplit_once("node_modules/") else {
            continue;
        };
        let name = entry.get("name").and_then(Value::as_str).unwrap_or(below);
        found.extend(npm_version(name, entry));
    }
    if folders.is_none() {
        add_npm_dependencies(&lock, DEPTH_MAX, &mut found);
    }
    found
}

fn add_npm_dependencies(entry: &Value, depth: usize, found: &mut Vec<PackageVersion>) {
    let dependencies = entry.get("dependencies").and_then(Value::as_object);
    for (name, entry) in dependencies.into_iter().flatten().filter(|_| depth > 0) {
        found.extend(npm_version(name, entry));
        add_npm_dependencies(entry, depth - 1, found);
    }
}

/// A version that came from a registry: others have the address of a repository or a folder.
fn npm_version(name: &str, entry: &Value) -> Option<PackageVersion> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let is_file = |from: &str| from.starts_with("https://") && from.strip_suffix(".tgz").is_some();
    let is_package = entry.get("link").is_none() && text("resolved").is_none_or(is_file);
    let version = text("version").filter(|version| is_plain(version))?;
    is_package.then(|| version_of(PackageRegistry::Npm, name, version))?
}

/// A number of a version, and no address.
fn is_plain(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_digit()) && !version.contains([':', '/', ' '])
}

/// `"name@range", "name@other":` and below it `version "1.0.0"`, or `version: 1.0.0` of newer ones.
fn yarn_versions(text: &str) -> Vec<PackageVersion> {
    let (mut found, mut name) = (Vec::new(), None);
    for line in text.lines() {
        if !line.starts_with([' ', '#']) {
            let first = line.trim_end_matches(':').split(',').next();
            let range = first.unwrap_or_default().trim_matches('"');
            name = split_range(range).map(|(name, range)| match range.strip_prefix("npm:") {
                // Another name for a package.
                Some(alias) => split_range(alias).map_or(name, |(real, _)| real),
                None => name,
            });
        } else if let Some(rest) = line.strip_prefix("  version") {
            let version = rest.trim_start_matches([':', ' ']).trim_matches('"');
            let named = name.take().filter(|_| is_plain(version));
            found.extend(named.and_then(|name| version_of(PackageRegistry::Npm, name, version)));
        }
    }
    found
}

/// A name of npm's, which may begin with `@`, and what follows behind the next one.
fn split_range(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((&text[..at], &text[at + 1..]))
}

/// Keys of the section `packages`: `'@scope/name@1.0.0(peer@2.0.0)':`.
fn pnpm_versions(text: &str) -> Vec<PackageVersion> {
    let mut is_inside = false;
    let keys = text.lines().filter_map(|line| {
        if !line.starts_with(' ') && !line.is_empty() {
            is_inside = line == "packages:";
        }
        let key = line.strip_prefix("  ").filter(|_| is_inside)?;
        let key = key.strip_suffix(':').filter(|key| !key.starts_with(' '))?;
        let key = key.trim_matches('\'').trim_start_matches('/');
        let (name, version) = split_range(key.split('(').next()?)?;
        version_of(PackageRegistry::Npm, name, version).filter(|_| is_plain(version))
    });
    keys.collect()
}

/// `"path": ["name@1.0.0", …],`.
fn bun_versions(text: &str) -> Vec<PackageVersion> {
    let entries = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\": [\"")?;
        let (name, version) = split_range(rest.split('"').next()?)?;
        version_of(PackageRegistry::Npm, name, version).filter(|_| is_plain(version))
    });
    entries.collect()
}

/// Tables `[[package]]` with `name`, `version` and where it is from.
fn table_versions(text: &str, registry: PackageRegistry) -> Vec<PackageVersion> {
    let mut found = Vec::new();
    for block in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let mut lines = block.lines().take_while(|line| !line.starts_with("[["));
            let line =
                lines.find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.map(str::trim)
        };
        let quoted = |key: &str| value(key).map(|text| text.trim_matches('"'));
        let is_package = match (registry, value("source")) {
            // Without a source a crate is one of the project's own.
            (PackageRegistry::Crates, source) => source.is_some_and(|source| {
                source.starts_with("\"registry+") || source.starts_with("\"sparse+")
            }),
            (_, Some(source)) => source.contains("registry"),
            (_, None) => {
                !block.contains("\ntype = \"git\"") && !block.contains("\ntype = \"directory\"")
            }
        };
        if let (true, Some(name), Some(version)) = (is_package, quoted("name"), quoted("version")) {
            found.extend(version_of(registry, name, version));
        }
    }
    found
}

fn pipfile_versions(text: &str) -> Vec<PackageVersion> {
    let Ok(lock) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let groups = lock.as_object().into_iter().flatten();
    let groups = groups.filter(|(group, _)| *group != "_meta");
    let entries = groups.filter_map(|(_, group)| group.as_object()).flatten();
    let versions = entries.filter_map(|(name, entry)| {
        let version = entry.get("version")?.as_str()?.strip_prefix("==")?;
        version_of(PackageRegistry::Pypi, name, version)
    });
    versions.collect()
}

/// `name[extra]==1.0 ; marker --hash=…`.
fn requirement_versions(text: &str) -> Vec<PackageVersion> {
    let versions = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once("==")?;
        let name = name.split('[').next()?.trim();
        let version = rest
            .trim_start_matches('=')
            .split([' ', ';', '\\', ','])
            .next()?;
        let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        version_of(PackageRegistry::Pypi, name, version).filter(|_| is_name)
    });
    versions.collect()
}

/// `module v1.0.0 h1:…` and `module v1.0.0/go.mod h1:…`.
fn go_versions(text: &str) -> Vec<PackageVersion> {
    let versions = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (module, version) = (words.next()?, words.next()?);
        let version = version.strip_suffix("/go.mod").unwrap_or(version);
        let is_sum = words.next()?.starts_with("h1:");
        let module = PackageName::new(PackageRegistry::Go, module);
        (is_sum && !version.is_empty()).then(|| module.at_version(version))
    });
    versions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &str, content: &str) -> Vec<String> {
        let versions = locked_versions(path, content.as_bytes());
        versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lock_files_of_node_list_what_came_from_a_registry() {
        let npm = r#"{"lockfileVersion": 3, "packages": {"": {"version": "1.0.0"}, "tools/own": {"version": "1.0.0"},
            "node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0"},
            "node_modules/alias": {"name": "real", "version": "3.0.0"},
            "node_modules/own": {"resolved": "tools/own", "link": true},
            "node_modules/g": {"version": "4.0.0", "resolved": "git+ssh://git@example.com/g.git#abc"}}}"#;
        let expected = ["npm:@s/b@2.0.0", "npm:a@1.0.0", "npm:real@3.0.0"];
        assert_eq!(listed("web/package-lock.json", npm), expected);
        let old = r#"{"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0", "dependencies":
            {"b": {"version": "2.0.0"}}}, "g": {"version": "git+https://example.com/g.git#abc"}}}"#;
        assert_eq!(
            listed("npm-shrinkwrap.json", old),
            ["npm:a@1.0.0", "npm:b@2.0.0"]
        );
        let yarn = "# yarn lockfile v1\n\n\"@s/b@^2.0.0\", \"@s/b@^2.1.0\":\n  version \"2.1.0\"\n  resolved \"x\"\n\n\
            a@^1.0.0:\n  version \"1.0.0\"\n\n__metadata:\n  version: 8\n\n\"c@npm:^3.0.0\":\n  version: 3.0.0\n\n\
            \"d@npm:real@^4.0.0\":\n  version: 4.0.0\n";
        let expected = [
            "npm:@s/b@2.1.0",
            "npm:a@1.0.0",
            "npm:c@3.0.0",
            "npm:real@4.0.0",
        ];
        assert_eq!(listed("yarn.lock", yarn), expected);
        let pnpm = "lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n\npackages:\n\n  '@s/b@2.0.0':\n    \
            resolution: {integrity: sha512-x}\n\n  a@1.0.0(p@1.0.0):\n    dev: true\n\n  /c@3.0.0:\n    dev: true\n\n  \
            g@https://example.com/g.tgz:\n    dev: true\n\nsnapshots:\n\n  z@9.0.0:\n";
        let expected = ["npm:@s/b@2.0.0", "npm:a@1.0.0", "npm:c@3.0.0"];
        assert_eq!(listed("pnpm-lock.yaml", pnpm), expected);
        let bun = "{\n  \"packages\": {\n    \"a\": [\"a@1.0.0\", \"\", {}, \"sha512-x\"],\n    \
            \"g\": [\"g@github:o/g\", {}],\n  }\n}\n";
        assert_eq!(listed("bun.lock", bun), ["npm:a@1.0.0"]);
    }

    #[test]
    fn lock_files_of_rust_python_and_go_list_what_came_from_a_registry() {
        let cargo = "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"Serde\"\n\
            version = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n\n\
            [[package]]\nname = \"g\"\nversion = \"1.0.0\"\nsource = \"git+https://example.com/g#abc\"\n";
        assert_eq!(listed("Cargo.lock", cargo), ["crates:serde@1.0.0"]);
        let uv = "[[package]]\nname = \"own\"\nversion = \"0.1.0\"\nsource = { editable = \".\" }\n\n[[package]]\n\
            name = \"Flask_Login\"\nversion = \"1.0\"\nsource = { registry = \"https://pypi.org/simple\" }\n";
        assert_eq!(listed("uv.lock", uv), ["pypi:flask-login@1.0"]);
        let poetry = "[[package]]\nname = \"a\"\nversion = \"1.0\"\n\n[[package]]\nname = \"g\"\nversion = \"2.0\"\n\n\
            [package.source]\ntype = \"git\"\nurl = \"https://example.com/g\"\n\n[metadata]\n";
        assert_eq!(listed("poetry.lock", poetry), ["pypi:a@1.0"]);
        let pipfile = r#"{"_meta": {"x": {"version": "==9"}}, "default": {"a": {"version": "==1.0"}, "g": {"git": "x"}},
            "develop": {"b": {"version": "==2.0"}}}"#;
        assert_eq!(
            listed("Pipfile.lock", pipfile),
            ["pypi:a@1.0", "pypi:b@2.0"]
        );
        let requirements = "# by hand\na[x]==1.0 \\\n    --hash=sha256:00\nb==2.0 ; python_version > \"3\"\n-e .\nc>=3\n";
        assert_eq!(
            listed("requirements.lock", requirements),
            ["pypi:a@1.0", "pypi:b@2.0"]
        );
        assert_eq!(
            listed("api/requirements-dev.txt", requirements),
            ["pypi:a@1.0", "pypi:b@2.0"]
        );
        let go = "example.com/A v1.0.0 h1:x=\nexample.com/A v1.0.0/go.mod h1:y=\nexample.com/b v0.1.0/go.mod h1:z=\nodd\n";
        assert_eq!(
            listed("go.sum", go),
            ["go:example.com/A@v1.0.0", "go:example.com/b@v0.1.0"]
        );
    }

    #[test]
    fn what_is_not_understood_lists_nothing() {
        for path in [
            "package-lock.json",
            "yarn.lock",
            "Cargo.lock",
            "go.sum",
            "bun.lockb",
            "x",
            "",
        ] {
            for content in [
                "",
                "[",
                "{\"packages\": 3}",
                "\u{0}\u{1}",
                "[[package]]\nname",
                "a@\n  version \"\"\n",
            ] {
                assert!(listed(path, content).is_empty(), "{path}: {content}");
            }
            assert!(locked_versions(path, &[0xff, 0xfe]).is_empty());
        }
        let deep = "{\"dependencies\":{\"a\":".repeat(500);
        assert!(listed("package-lock.json", &deep).is_empty());
    }
}
