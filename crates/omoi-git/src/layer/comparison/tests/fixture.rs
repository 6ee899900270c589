//! Installed packages of each manager as files, and what lock files say of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;

use crate::layer::comparison::{DependencyFacts, LayerListing, NodePlace, unexplained_paths};

pub(super) const SITE: &str = ".venv/lib/python3.11/site-packages";
pub(super) const CARGO: &str = ".omoi-packages/cargo";
pub(super) const GO: &str = ".omoi-packages/go";

/// Files of a layer.
pub(super) struct LayerTree(TempDir);

impl LayerTree {
    pub(super) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
        self
    }

    pub(super) fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
        self
    }

    pub(super) fn remove(&self, path: &str) -> &Self {
        let path = self.path().join(path);
        match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
        self
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> &Self {
        let to = self.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.path().join(from), to).unwrap();
        self
    }

    pub(super) fn make_runnable(&self, path: &str) -> &Self {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path().join(path), mode).unwrap();
        self
    }

    /// A package of npm with a program.
    pub(super) fn node(&self, folder: &str, version: &str) -> &Self {
        let (_, name) = folder.rsplit_once("node_modules/").unwrap();
        let manifest = format!("{{\"name\": \"{name}\", \"version\": \"{version}\"}}");
        self.write(&format!("{folder}/package.json"), &manifest);
        self.write(&format!("{folder}/cli.js"), &format!("{name} {version}\n"))
    }

    /// A Python package with a program.
    pub(super) fn python(&self, name: &str, version: &str) -> &Self {
        self.python_with(name, version, &[])
    }

    /// One that lists `more` files.
    pub(super) fn python_with(&self, name: &str, version: &str, more: &[&str]) -> &Self {
        let info = format!("{name}-{version}.dist-info");
        self.write(
            &format!("{SITE}/{name}/__init__.py"),
            &format!("{version}\n"),
        );
        self.write(
            &format!("{SITE}/{info}/METADATA"),
            &format!("{name} {version}\n"),
        );
        self.write(&format!("{SITE}/{info}/INSTALLER"), "pip\n");
        self.write(&format!(".venv/bin/{name}"), "#!/work/.venv/bin/python\n");
        let listed = ["__init__.py".to_owned()].map(|file| format!("{name}/{file},,"));
        let own = ["METADATA", "INSTALLER", "RECORD"].map(|file| format!("{info}/{file},,"));
        let script = [format!("../../../bin/{name},,")];
        let more = more.iter().map(|file| format!("{file},,"));
        let lines = listed.into_iter().chain(own).chain(script).chain(more);
        let record = lines.collect::<Vec<_>>().join("\n");
        self.write(&format!("{SITE}/{info}/RECORD"), &record)
    }

    /// A crate with its line in the index.
    pub(super) fn crate_of(&self, name: &str, version: &str) -> &Self {
        let registry = format!("{CARGO}/registry");
        let (src, cache) = (format!("{registry}/src/i"), format!("{registry}/cache/i"));
        self.write(&format!("{src}/{name}-{version}/src/lib.rs"), version);
        self.write(&format!("{cache}/{name}-{version}.crate"), version);
        let line = format!("{version}\0{{\"vers\":\"{version}\"}}\0");
        self.write(&format!("{registry}/index/i/.cache/{name}"), &line);
        self.write(&format!("{registry}/index/i/config.json"), "{}");
        self.write(&format!("{CARGO}/.package-cache"), "")
    }

    pub(super) fn module(&self, module: &str, version: &str) -> &Self {
        self.write(&format!("{GO}/{module}@{version}/a.go"), version);
        let download = format!("{GO}/cache/download/{module}/@v");
        for kind in ["info", "mod", "zip", "ziphash", "lock"] {
            self.write(&format!("{download}/{version}.{kind}"), version);
        }
        self.write(&format!("{download}/list"), version);
        self.write(&format!("{GO}/cache/lock"), "")
    }

    /// What makes a folder an environment of Python.
    pub(super) fn environment(&self) -> &Self {
        self.write(".venv/pyvenv.cfg", "home = /usr/bin\n");
        self.write(".venv/bin/activate", "VIRTUAL_ENV=/work/.venv\n");
        self.link(".venv/bin/python", "python3");
        self.link(".venv/bin/python3", "/usr/bin/python3");
        self.link(".venv/lib64", "lib")
    }
}

/// What each manager installed at the base commit.
pub(super) fn base_tree() -> LayerTree {
    let tree = LayerTree::empty();
    for (folder, version) in [
        ("node_modules/a", "1.0.0"),
        ("node_modules/b", "1.0.0"),
        ("node_modules/b/node_modules/a", "2.0.0"),
        ("node_modules/@s/c", "1.0.0"),
    ] {
        tree.node(folder, version);
    }
    tree.link("node_modules/.bin/a", "../a/cli.js");
    tree.link("node_modules/.bin/b", "../b/cli.js");
    tree.write("node_modules/.package-lock.json", "{}");
    tree.environment()
        .python("words", "1.0")
        .python("pip", "23.0");
    tree.crate_of("num", "1.0.0")
        .module("example.com/!big", "v1.0.0");
    tree
}

/// What the lock files say of [`base_tree`].
pub(super) fn base_facts() -> DependencyFacts {
    let mut facts = DependencyFacts::default();
    for version in [
        "npm:a@1.0.0",
        "npm:b@1.0.0",
        "npm:a@2.0.0",
        "npm:@s/c@1.0.0",
        "pypi:words@1.0",
        "crates:num@1.0.0",
        "go:example.com/Big@v1.0.0",
    ] {
        facts.listed_before.insert(version.to_owned());
    }
    facts.listed_after = facts.listed_before.clone();
    facts.places_before.add_lock_file("", base_places());
    facts
}

pub(super) fn place(folder: &str, package: &str) -> (String, NodePlace) {
    let there = NodePlace {
        package: package.to_owned(),
        link: None,
        is_optional: false,
    };
    (folder.to_owned(), there)
}

pub(super) fn base_places() -> Vec<(String, NodePlace)> {
    vec![
        place("node_modules/a", "npm:a@1.0.0"),
        place("node_modules/b", "npm:b@1.0.0"),
        place("node_modules/b/node_modules/a", "npm:a@2.0.0"),
        place("node_modules/@s/c", "npm:@s/c@1.0.0"),
    ]
}

/// What nothing explains of the difference between both.
pub(super) fn found(base: &LayerTree, made: &LayerTree, facts: &DependencyFacts) -> Vec<String> {
    let read = |tree: &LayerTree| LayerListing::read(tree.path(), "/work").unwrap();
    let found = unexplained_paths(&read(base), &read(made), facts);
    found.into_iter().collect()
}
