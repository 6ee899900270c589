//! Folders that lock files of npm name: those say not only which packages there are, but where each lies.

use serde_json::{Map, Value};

use omoi_domain::lock_file::LockFileKind;

use super::{DEPTH_MAX, VERSIONS_MAX, npm_version};

/// A folder that a lock file of npm names, and what lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPlace {
    /// The folder, from that of the lock file on: `node_modules/a/node_modules/b`.
    pub folder: String,
    /// The package, as `npm:left-pad@1.3.0`; one that is of no registry has its address behind it.
    pub package: String,
    /// Where the folder leads, if it is a link into the project.
    pub link: Option<String>,
    /// Whether it may not be there: not every machine takes it.
    pub is_optional: bool,
}

/// The folders that the lock file `path` names; none for a lock file that does not say where packages lie.
pub fn locked_places(path: &str, content: &[u8]) -> Option<Vec<LockedPlace>> {
    let kind = LockFileKind::of_path(path)?;
    let says_places = matches!(
        kind,
        LockFileKind::PackageLock | LockFileKind::NpmShrinkwrap
    );
    let lock: Value = serde_json::from_slice(content)
        .ok()
        .filter(|_| says_places)?;
    let mut places = Vec::new();
    match lock.get("packages").and_then(Value::as_object) {
        Some(folders) => {
            let named = folders
                .iter()
                .filter(|(folder, _)| folder.contains("node_modules/"));
            places.extend(named.filter_map(|(folder, entry)| place_of(folder, entry)));
        }
        None => add_nested(&lock, "", DEPTH_MAX, &mut places),
    }
    places.truncate(VERSIONS_MAX);
    Some(places)
}

/// Of old a package lay in `node_modules` of the one that it is listed below.
fn add_nested(entry: &Value, above: &str, depth: usize, places: &mut Vec<LockedPlace>) {
    let below = entry.get("dependencies").and_then(Value::as_object);
    let none = Map::new();
    for (name, entry) in below.unwrap_or(&none).iter().filter(|_| depth > 0) {
        let folder = format!("{above}node_modules/{name}");
        places.extend(place_of(&folder, entry));
        add_nested(entry, &format!("{folder}/"), depth - 1, places);
    }
}

fn place_of(folder: &str, entry: &Value) -> Option<LockedPlace> {
    let (_, leaf) = folder.rsplit_once("node_modules/")?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let is_set = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
    let name = text("name").unwrap_or(leaf);
    let resolved = text("resolved").unwrap_or_default();
    let package = match npm_version(name, entry) {
        Some(version) => version.to_string(),
        None => {
            let version = text("version").unwrap_or_default();
            format!("npm:{name}@{version} {resolved}")
        }
    };
    Some(LockedPlace {
        folder: folder.to_owned(),
        package,
        link: is_set("link").then(|| resolved.to_owned()),
        is_optional: ["optional", "devOptional", "peer"].into_iter().any(is_set),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Option<Vec<String>> {
        let places = locked_places(path, text.as_bytes())?;
        let lines = places.into_iter().map(|place| {
            let (link, optional) = (place.link.unwrap_or_default(), place.is_optional);
            format!(
                "{} {} {link}{}",
                place.folder,
                place.package,
                if optional { "?" } else { "" }
            )
        });
        Some(lines.collect())
    }

    #[test]
    fn both_layouts_say_where_packages_lie() {
        let text = r#"{"lockfileVersion": 3, "packages": {"": {"version": "1.0.0"}, "tools/own": {"version": "1.0.0"},
            "node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "optional": true},
            "node_modules/alias": {"name": "real", "version": "3.0.0"},
            "node_modules/own": {"resolved": "tools/own", "link": true},
            "node_modules/g": {"version": "4.0.0", "resolved": "git+ssh://git@example.com/g.git#abc"}}}"#;
        let expected = [
            "node_modules/a npm:a@1.0.0 ",
            "node_modules/a/node_modules/@s/b npm:@s/b@2.0.0 ?",
            "node_modules/alias npm:real@3.0.0 ",
            "node_modules/own npm:own@ tools/own tools/own",
            "node_modules/g npm:g@4.0.0 git+ssh://git@example.com/g.git#abc ",
        ];
        assert_eq!(told("web/package-lock.json", text).unwrap(), expected);
        let old = r#"{"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0", "dependencies":
            {"b": {"version": "2.0.0"}}}}}"#;
        let expected = [
            "node_modules/a npm:a@1.0.0 ",
            "node_modules/a/node_modules/b npm:b@2.0.0 ",
        ];
        assert_eq!(told("npm-shrinkwrap.json", old).unwrap(), expected);
    }

    #[test]
    fn other_lock_files_say_no_places() {
        for (path, text) in [
            ("yarn.lock", "a@1:\n  version \"1\"\n"),
            ("package-lock.json", "["),
            ("package.json", "{}"),
        ] {
            assert_eq!(told(path, text), None, "{path}");
        }
        let deep = "{\"dependencies\":{\"a\":".repeat(500);
        assert_eq!(told("package-lock.json", &deep), None);
        assert_eq!(told("package-lock.json", "{}"), Some(Vec::new()));
    }
}
