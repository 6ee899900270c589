//! Python: pytest, unittest, Django.

use super::text::{has_section, hint, setting, tool_version, version_file};
use super::view::{View, join};
use super::{Finding, ToolchainKind, VersionHint};

const MANIFESTS: &[&str] = &[
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "Pipfile",
    "tox.ini",
    "pytest.ini",
    "manage.py",
];

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let mut dirs = view.projects(MANIFESTS);
    let sources = || {
        view.files()
            .iter()
            .filter(|f| f.extension() == "py" && !f.vendored)
    };
    sources().next()?;
    if dirs.is_empty() {
        // Without a manifest it is a Python project only if much of the code is Python.
        let code = view.files().iter().filter(|f| f.language.is_some());
        let all: u64 = code.map(|f| f.bytes).sum();
        let python: u64 = sources().map(|f| f.bytes).sum();
        if python * 4 < all {
            return None;
        }
        dirs.push("");
    }
    let mut finding = Finding::new(ToolchainKind::Python);
    for dir in dirs {
        let manifest = view.first_in(dir, MANIFESTS);
        finding.toolchain(manifest.as_deref(), version(view, dir), &[]);
        add_tests(view, dir, &mut finding);
    }
    Some(finding)
}

fn version(view: &View<'_>, dir: &str) -> Option<VersionHint> {
    let from = |name: &str, section: &str, key: &str| {
        let path = join(dir, name);
        hint(setting(view.text(&path)?, section, key)?, &path)
    };
    version_file(view, dir, ".python-version")
        .or_else(|| tool_version(view, dir, "python"))
        .or_else(|| from("pyproject.toml", "project", "requires-python"))
        .or_else(|| from("pyproject.toml", "tool.poetry.dependencies", "python"))
        .or_else(|| from("setup.cfg", "options", "python_requires"))
        .or_else(|| from("Pipfile", "requires", "python_version"))
}

fn add_tests(view: &View<'_>, dir: &str, finding: &mut Finding) {
    let tests: Vec<&str> = view
        .below(dir)
        .filter(|f| f.extension() == "py" && !f.vendored && f.is_test())
        .filter(|f| !matches!(f.name(), "__init__.py" | "conftest.py"))
        .map(|f| f.path.as_str())
        .collect();
    let Some(first) = tests.first() else { return };
    let path = if view.has_dir(&join(dir, "src")) && !view.has(&join(dir, "src/__init__.py")) {
        "PYTHONPATH=src "
    } else {
        ""
    };
    if let Some((found_in, because)) = pytest_evidence(view, dir) {
        let command = format!("{path}python3 -m pytest -q");
        finding.test((dir, &found_in), &command, because);
        return;
    }
    let django = join(dir, "manage.py");
    if view.has(&django) {
        finding.test((dir, &django), "python3 manage.py test", "a Django project");
        return;
    }
    let in_tests = |words: &[&str]| {
        let mut samples = tests
            .iter()
            .filter_map(|path| Some((*path, view.text(path)?)));
        samples.find_map(|(path, text)| words.iter().any(|w| text.contains(w)).then_some(path))
    };
    if let Some(path_of) = in_tests(&["import pytest", "from pytest"]) {
        let command = format!("{path}python3 -m pytest -q");
        finding.test((dir, path_of), &command, "a test imports pytest");
    } else if let Some(found_in) = in_tests(&["unittest"]) {
        let command = format!("{path}{}", unittest_command(view, dir, &tests));
        finding.test((dir, found_in), &command, "a test imports unittest");
    } else {
        let command = format!("{path}python3 -m pytest -q");
        finding.test((dir, first), &command, "tests that need a test runner");
    }
}

fn pytest_evidence(view: &View<'_>, dir: &str) -> Option<(String, &'static str)> {
    let ini = join(dir, "pytest.ini");
    if view.has(&ini) {
        return Some((ini, "pytest is configured here"));
    }
    let sections = [
        ("pyproject.toml", "tool.pytest"),
        ("setup.cfg", "tool:pytest"),
        ("tox.ini", "pytest"),
    ];
    for (name, section) in sections {
        let path = join(dir, name);
        if view.text(&path).is_some_and(|t| has_section(t, section)) {
            return Some((path, "pytest is configured here"));
        }
    }
    let requirements = view.texts().map(|(path, _)| path).filter(|path| {
        let name = path
            .strip_prefix(dir)
            .unwrap_or(path)
            .trim_start_matches('/');
        name.starts_with("requirements") && !name.contains('/')
    });
    let manifests = [
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "Pipfile",
        "tox.ini",
    ];
    let manifests = manifests.map(|name| join(dir, name));
    let mut all = manifests.into_iter().chain(requirements.map(str::to_owned));
    let path = all.find(|path| view.text(path).is_some_and(|t| t.contains("pytest")))?;
    Some((path, "pytest is among the dependencies"))
}

/// `unittest discover` with the start folder its rules need.
fn unittest_command(view: &View<'_>, dir: &str, tests: &[&str]) -> String {
    let prefixed = |path: &&str| {
        path.rsplit('/')
            .next()
            .is_some_and(|n| n.starts_with("test"))
    };
    let pattern = if tests.iter().any(prefixed) {
        ""
    } else {
        " -p '*_test.py'"
    };
    let base = if dir.is_empty() { 0 } else { dir.len() + 1 };
    let folder_of = |path: &&str| {
        path[base..]
            .rsplit_once('/')
            .map_or("", |(d, _)| d)
            .to_owned()
    };
    let folders: Vec<String> = tests.iter().map(folder_of).collect();
    let shallowest = folders
        .iter()
        .min_by_key(|d| (d.matches('/').count(), d.len(), *d));
    let usual = ["tests", "test"].map(str::to_owned);
    let start = usual.iter().find(|u| folders.contains(u)).or(shallowest);
    let start = start.map_or("", String::as_str);
    let is_package = |part: &str| view.has(&join(dir, &format!("{part}/__init__.py")));
    let mut ancestors = start
        .match_indices('/')
        .map(|(at, _)| &start[..at])
        .chain([start]);
    if start.is_empty() {
        format!("python3 -m unittest discover{pattern}")
    } else if ancestors.all(is_package) {
        format!("python3 -m unittest discover -s {start} -t .{pattern}")
    } else {
        format!("python3 -m unittest discover -s {start}{pattern}")
    }
}
