//! Which commands install what, and which files decide it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use super::*;

const BLOB: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn files(all: &[(&str, &str)]) -> SetupFiles {
    let mut files = SetupFiles::default();
    for (path, text) in all {
        let blob = ObjectId::parse(BLOB).unwrap();
        files.blobs.insert((*path).to_owned(), blob);
        files.texts.insert((*path).to_owned(), (*text).to_owned());
    }
    files
}

fn check(all: &[(&str, &str)], expected: &[&str]) {
    let plan = files(all).into_plan(None);
    let commands = plan.map(|plan| plan.commands).unwrap_or_default();
    assert_eq!(commands, expected, "{all:?}");
}

#[test]
fn each_lock_file_has_its_command() {
    let uv = "[[package]]\nsource = { registry = \"https://pypi.org/simple\" }\n";
    check(
        &[("uv.lock", uv), ("pyproject.toml", "")],
        &["uv sync --frozen"],
    );
    check(
        &[("poetry.lock", "[[package]]\n")],
        &["poetry install --no-interaction"],
    );
    let npm = "{\"packages\": {\"node_modules/a\": {\"resolved\": \"x\"}}}";
    check(
        &[("package-lock.json", npm), ("package.json", "{}")],
        &["npm ci"],
    );
    // Where packages came from may have been left out, and what is no lock file is npm's to refuse.
    let bare = "{\"packages\": {\"\": {}, \"node_modules/a\": {\"version\": \"1.0.0\"}}}";
    let old = "{\"lockfileVersion\": 1, \"dependencies\": {\"a\": {\"version\": \"1.0.0\"}}}";
    for lock in [bare, old, "", "[", "resolved"] {
        check(&[("package-lock.json", lock)], &["npm ci"]);
    }
    check(
        &[
            ("yarn.lock", "a@1:\n  version \"1.0.0\"\n"),
            ("package.json", "{}"),
        ],
        &["yarn install --frozen-lockfile"],
    );
    check(
        &[("pnpm-lock.yaml", "resolution: {}")],
        &["pnpm install --frozen-lockfile"],
    );
    check(
        &[("package.json", "{\"devDependencies\": {\"a\": \"1\"}}")],
        &["npm install --no-package-lock"],
    );
    check(
        &[(
            "Cargo.lock",
            "[[package]]\nname = \"a\"\nsource = \"registry+x\"\n",
        )],
        &["cargo fetch --locked"],
    );
    check(
        &[("go.mod", "module a\nrequire b v1.0.0\n"), ("go.sum", "")],
        &["go mod download"],
    );
    check(
        &[(
            "pyproject.toml",
            "[tool.uv]\n[project]\ndependencies = [\"a\"]\n",
        )],
        &["uv sync"],
    );
    let pip = "python3 -m venv --system-site-packages .venv && .venv/bin/python -m pip install";
    check(
        &[("requirements.txt", "a==1\n")],
        &[&format!("{pip} -r requirements.txt")],
    );
    check(
        &[("setup.py", "setup(install_requires=['a'])")],
        &[&format!("{pip} -e .")],
    );
    check(
        &[(
            "pyproject.toml",
            "[project]\ndependencies = [\n  \"a\",\n]\n",
        )],
        &[&format!("{pip} -e .")],
    );
}

#[test]
fn what_needs_no_packages_needs_no_setup() {
    check(&[], &[]);
    check(
        &[("package.json", "{\"name\": \"a\", \"dependencies\": {}}")],
        &[],
    );
    check(&[("package.json", "no json")], &[]);
    for lock in ["{}", "{\"packages\": {\"\": {}}}"] {
        check(&[("package-lock.json", lock), ("package.json", "{}")], &[]);
    }
    check(&[("Cargo.lock", "[[package]]\nname = \"a\"\n")], &[]);
    check(&[("requirements.txt", "# none\n\n")], &[]);
    check(
        &[(
            "pyproject.toml",
            "[project]\nname = \"a\"\ndependencies = []\n",
        )],
        &[],
    );
    check(&[("go.mod", "module a\ngo 1.22\n")], &[]);
}

#[test]
fn the_shallowest_folder_of_a_kind_speaks_and_kinds_add_up() {
    let lock = "source = \"\n\nsource = \"registry+x\"\n";
    check(
        &[
            ("web/app/requirements.txt", "a\n"),
            ("it's/requirements.txt", "a\n"),
            ("sub/Cargo.lock", lock),
            ("Cargo.lock", lock),
        ],
        &[
            "(cd 'it'\\''s' && python3 -m venv --system-site-packages .venv && .venv/bin/python -m pip install -r requirements.txt)",
            "cargo fetch --locked",
        ],
    );
}

#[test]
fn written_commands_replace_the_table_and_a_manifest_beside_its_lock_decides_nothing() {
    let all = [
        ("package.json", "{}"),
        ("package-lock.json", "{}"),
        ("web/package.json", "{}"),
    ];
    let written = ["make deps".to_owned()];
    let plan = files(&all).into_plan(Some(&written)).unwrap();
    assert!(plan.is_written && plan.commands == written);
    let inputs: Vec<&str> = plan.inputs.keys().map(String::as_str).collect();
    assert_eq!(inputs, ["package-lock.json", "web/package.json"]);
    let other = SetupPlan {
        commands: vec!["make".to_owned(), "deps".to_owned()],
        ..plan.clone()
    };
    assert_ne!(plan.plan_digest(), other.plan_digest());
}

#[test]
fn what_pins_versions_is_a_lock_file_everywhere() {
    let manifests = ["pyproject.toml", "setup.py", "package.json", "go.mod"];
    for rule in RULES {
        let is_lock = LockFileKind::of_path(rule.file).is_some();
        assert_eq!(is_lock, !manifests.contains(&rule.file), "{}", rule.file);
    }
}

#[test]
fn an_environment_is_made_apart_where_only_the_later_plan_has_one() {
    let npm = "{\"packages\": {\"node_modules/a\": {\"resolved\": \"x\"}}}";
    let plan = |all: &[(&str, &str)]| files(all).into_plan(None).unwrap();
    let node = plan(&[("package-lock.json", npm)]);
    let both = plan(&[
        ("package-lock.json", npm),
        ("api/requirements.txt", "a==1\n"),
    ]);
    let frame = both.frame_plan(Some(&node)).unwrap();
    let expected = "(mkdir -p 'api' && cd 'api' && python3 -m venv --system-site-packages .venv)";
    assert_eq!(frame.commands, [expected]);
    assert_eq!(both.frame_plan(None), Some(frame));
    assert_eq!(both.frame_plan(Some(&both)), None);
    assert_eq!(node.frame_plan(None), None);
}
