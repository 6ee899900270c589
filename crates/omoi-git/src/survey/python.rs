//! Python: pytest, unittest, Django.

use super::finding::{HintSource, ToolchainFinding};
use super::text::{has_section, read_setting, tool_version, version_file, version_hint};
use super::view::{SurveyView, join_path};
use super::{ToolchainKind, VersionHint};

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

pub(super) fn detect_python(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let mut dirs = view.project_dirs(MANIFESTS);
    let sources = || {
        view.files()
            .iter()
            .filter(|f| f.file_extension() == "py" && !f.vendored)
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
    let mut finding = ToolchainFinding::new(ToolchainKind::Python);
    for dir in dirs {
        let manifest = view.first_in(dir, MANIFESTS);
        finding.add_toolchain(manifest.as_deref(), python_version(view, dir), &[]);
        add_python_tests(view, dir, &mut finding);
    }
    Some(finding)
}

fn python_version(view: &SurveyView<'_>, dir: &str) -> Option<VersionHint> {
    let from = |name: &str, section: &str, key: &str| {
        let path = join_path(dir, name);
        version_hint(read_setting(view.file_text(&path)?, section, key)?, &path)
    };
    version_file(view, dir, ".python-version")
        .or_else(|| tool_version(view, dir, "python"))
        .or_else(|| from("pyproject.toml", "project", "requires-python"))
        .or_else(|| from("pyproject.toml", "tool.poetry.dependencies", "python"))
        .or_else(|| from("setup.cfg", "options", "python_requires"))
        .or_else(|| from("Pipfile", "requires", "python_version"))
}

fn add_python_tests(view: &SurveyView<'_>, dir: &str, finding: &mut ToolchainFinding) {
    let tests: Vec<&str> = view
        .files_below(dir)
        .filter(|f| f.file_extension() == "py" && !f.vendored && f.is_test())
        .filter(|f| !matches!(f.file_name(), "__init__.py" | "conftest.py"))
        .map(|f| f.path.as_str())
        .collect();
    let Some(first) = tests.first() else { return };
    let path = if view.has_dir(&join_path(dir, "src"))
        && !view.has_file(&join_path(dir, "src/__init__.py"))
    {
        "PYTHONPATH=src "
    } else {
        ""
    };
    if let Some((found_in, because)) = pytest_evidence(view, dir) {
        let command = format!("{path}python3 -m pytest -q");
        finding.add_test(HintSource::new(dir, &found_in), &command, because);
        return;
    }
    let django = join_path(dir, "manage.py");
    if view.has_file(&django) {
        finding.add_test(
            HintSource::new(dir, &django),
            "python3 manage.py test",
            "a Django project",
        );
        return;
    }
    let in_tests = |words: &[&str]| {
        let mut samples = tests
            .iter()
            .filter_map(|path| Some((*path, view.file_text(path)?)));
        samples.find_map(|(path, text)| words.iter().any(|w| text.contains(w)).then_some(path))
    };
    if let Some(path_of) = in_tests(&["import pytest", "from pytest"]) {
        let command = format!("{path}python3 -m pytest -q");
        finding.add_test(
            HintSource::new(dir, path_of),
            &command,
            "a test imports pytest",
        );
    } else if let Some(found_in) = in_tests(&["unittest"]) {
        let command = format!("{path}{}", unittest_command(view, dir, &tests));
        finding.add_test(
            HintSource::new(dir, found_in),
            &command,
            "a test imports unittest",
        );
    } else {
        let command = format!("{path}python3 -m pytest -q");
        finding.add_test(
            HintSource::new(dir, first),
            &command,
            "tests that need a test runner",
        );
    }
}

fn pytest_evidence(view: &SurveyView<'_>, dir: &str) -> Option<(String, &'static str)> {
    let ini = join_path(dir, "pytest.ini");
    if view.has_file(&ini) {
        return Some((ini, "pytest is configured here"));
    }
    let sections = [
        ("pyproject.toml", "tool.pytest"),
        ("setup.cfg", "tool:pytest"),
        ("tox.ini", "pytest"),
    ];
    for (name, section) in sections {
        let path = join_path(dir, name);
        if view
            .file_text(&path)
            .is_some_and(|t| has_section(t, section))
        {
            return Some((path, "pytest is configured here"));
        }
    }
    let requirements = view.all_texts().map(|(path, _)| path).filter(|path| {
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
    let manifests = manifests.map(|name| join_path(dir, name));
    let mut all = manifests.into_iter().chain(requirements.map(str::to_owned));
    let path = all.find(|path| view.file_text(path).is_some_and(|t| t.contains("pytest")))?;
    Some((path, "pytest is among the dependencies"))
}

/// `unittest discover` with the start folder its rules need.
fn unittest_command(view: &SurveyView<'_>, dir: &str, tests: &[&str]) -> String {
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
    let is_package = |part: &str| view.has_file(&join_path(dir, &format!("{part}/__init__.py")));
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
