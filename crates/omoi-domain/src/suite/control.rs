//! Which files decide what a suite runs.
//!
//! They count as tests: who changes them can switch a test off without touching it. Of a manifest
//! only the parts count that a runner reads, so that a new dependency is no such change.

use std::collections::BTreeSet;

/// Files that a runner reads, by their whole name.
const RUNNER_FILES: &[&str] = &[
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    "noxfile.py",
    "sitecustomize.py",
    "usercustomize.py",
    ".taprc",
    "nextest.toml",
    "karma.conf.js",
    "phpunit.xml",
    "phpunit.xml.dist",
    ".rspec",
    ".omoi.yaml",
];
/// Files that a runner reads, by the beginning of their name.
const RUNNER_PREFIXES: &[&str] = &[
    "jest.config.",
    "vitest.config.",
    "vitest.workspace.",
    "vite.config.",
    ".mocharc.",
    "ava.config.",
    "playwright.config.",
    "karma.conf.",
    "babel.config.",
];
/// Programs of a suite's command, with the file that tells them what to do.
const BUILD_FILES: &[(&str, &[&str])] = &[
    ("make", &["Makefile", "makefile", "GNUmakefile"]),
    ("just", &["justfile", "Justfile", ".justfile"]),
    ("task", &["Taskfile.yml", "Taskfile.yaml"]),
    ("rake", &["Rakefile"]),
];
/// Modules of Python's standard library and of its test runners: a file or folder of such a name
/// where a suite is started is imported instead.
const PYTHON_MODULES: &str = "abc argparse array ast asynchat asyncio asyncore atexit base64 bdb \
    binascii bisect builtins bz2 calendar cgi cmath cmd code codecs codeop collections colorsys \
    compileall concurrent configparser contextlib contextvars copy copyreg csv ctypes curses \
    dataclasses datetime dbm decimal difflib dis doctest email encodings ensurepip enum errno \
    faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt \
    getpass gettext glob graphlib grp gzip hashlib heapq hmac html http imaplib imp importlib inspect \
    io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal math mimetypes \
    mmap modulefinder multiprocessing netrc ntpath numbers opcode operator optparse os pathlib pdb \
    pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd \
    py_compile pyclbr pydoc queue quopri random re readline reprlib resource rlcompleter runpy sched \
    secrets select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 \
    sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess \
    symtable sys sysconfig syslog tarfile tempfile termios textwrap threading time timeit tkinter \
    token tokenize tomllib trace traceback tracemalloc tty types typing unicodedata unittest urllib \
    uuid venv warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zlib \
    zoneinfo sitecustomize usercustomize pytest _pytest pluggy iniconfig nose nose2 coverage \
    hypothesis tox nox";

/// How much of a file decides what the suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuiteControl {
    /// No part of it.
    None,
    /// All of it, wherever it appears.
    Whole,
    /// The parts that [`suite_part`] names.
    Part,
}

/// What a file at `path` has to do with the suite that `command` starts.
pub fn suite_control(path: &str, command: Option<&str>) -> SuiteControl {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let words = || {
        command
            .unwrap_or_default()
            .split([' ', ';', '&', '|', '(', ')'])
    };
    let is_named = words().any(|word| word.trim_start_matches("./") == path);
    let builds = |(program, files): &(&str, &[&str])| {
        files.contains(&name) && words().any(|word| word == *program)
    };
    let is_cargo_config = folder.rsplit('/').next() == Some(".cargo") && name.starts_with("config");
    let is_whole = RUNNER_FILES.contains(&name)
        || RUNNER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || path.split('/').any(|part| part == "node_modules")
        || is_cargo_config
        || is_named
        || BUILD_FILES.iter().any(builds);
    if is_whole {
        return SuiteControl::Whole;
    }
    match name {
        "package.json" | "pyproject.toml" | "setup.cfg" | "Cargo.toml" => SuiteControl::Part,
        _ => SuiteControl::None,
    }
}

/// The name of the module that `path` would put in place of the interpreter's own, for a program
/// started at the root; none when it puts none there or the name `stood` there before.
pub fn shadowed_module<'p>(path: &'p str, stood: &BTreeSet<&str>) -> Option<&'p str> {
    let (first, below) = path.split_once('/').unwrap_or((path, ""));
    let is_code = |file: &str| [".py", ".so", ".pyc"].iter().any(|end| file.ends_with(end));
    let module = match below {
        "" if is_code(first) => first.split('.').next()?,
        "" => return None,
        below if is_code(below) => first,
        _ => return None,
    };
    let is_known = PYTHON_MODULES
        .split_ascii_whitespace()
        .any(|known| known == module);
    (is_known && !stood.contains(module)).then_some(module)
}

/// The names that tracked files at the root have as modules.
pub fn root_modules<'p>(paths: impl Iterator<Item = &'p str>) -> BTreeSet<&'p str> {
    let module = |path: &'p str| match path.split_once('/') {
        Some((folder, below)) => (file_extension(below) == Some("py")).then_some(folder),
        None => path.strip_suffix(".py"),
    };
    paths.filter_map(module).collect()
}

fn file_extension(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    name.rsplit_once('.').map(|(_, extension)| extension)
}

/// The part of a manifest that decides what the suite runs, in a form that can be compared.
pub fn suite_part(path: &str, text: &str) -> String {
    match path.rsplit('/').next().unwrap_or(path) {
        "package.json" => node_part(text),
        "pyproject.toml" => kept_sections(text, &|section, _| {
            let tools = [
                "pytest",
                "tox",
                "nox",
                "coverage",
                "hatch.envs",
                "hatch.env",
                "pdm.scripts",
                "poe",
            ];
            let of = |tool: &&str| {
                let rest = section
                    .strip_prefix("tool.")
                    .and_then(|s| s.strip_prefix(*tool));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            section.is_empty() || tools.iter().any(of)
        }),
        "setup.cfg" => kept_sections(text, &|section, _| {
            ["tool:pytest", "pytest", "aliases", "nosetests", "test"].contains(&section)
        }),
        _ => kept_sections(text, &|section, key| match section {
            "" | "test" => true,
            "lib" => ["test", "doctest", "harness", "path"].contains(&key),
            "bin" | "example" | "bench" => ["test", "doctest", "harness"].contains(&key),
            "package" => ["autotests", "autobins", "lib", "test"].contains(&key),
            "workspace" => ["exclude", "default-members"].contains(&key),
            section => section.starts_with("profile.test") || section.starts_with("patch"),
        }),
    }
}

/// The scripts that a test starts, and the runners' own sections.
fn node_part(text: &str) -> String {
    let Ok(manifest) = serde_json::from_str::<serde_json::Value>(text) else {
        return text.to_owned();
    };
    let runners = [
        "jest", "vitest", "mocha", "ava", "tap", "nyc", "c8", "config",
    ];
    let mut part = serde_json::Map::new();
    for runner in runners {
        if let Some(section) = manifest.get(runner) {
            part.insert(runner.to_owned(), section.clone());
        }
    }
    let scripts = manifest.get("scripts").and_then(|s| s.as_object());
    let scripts = scripts.cloned().unwrap_or_default();
    let mut kept: BTreeSet<String> = scripts
        .keys()
        .filter(|n| n.contains("test"))
        .cloned()
        .collect();
    loop {
        let is_called = |name: &&String| {
            kept.iter()
                .filter_map(|by| scripts.get(by)?.as_str())
                .any(|script| {
                    script.split([' ', ';', '&', '|', '"', '\'']).any(|word| {
                        word == **name
                            || ["pre", "post"]
                                .iter()
                                .any(|p| name.strip_prefix(p) == Some(word))
                    })
                })
        };
        let called: Vec<String> = scripts
            .keys()
            .filter(|n| !kept.contains(*n))
            .filter(is_called)
            .cloned()
            .collect();
        if called.is_empty() {
            break;
        }
        kept.extend(called);
    }
    for name in kept {
        part.insert(
            format!("scripts.{name}"),
            scripts.get(&name).cloned().unwrap_or_default(),
        );
    }
    serde_json::Value::Object(part).to_string()
}

/// The lines of a sectioned file that `keep` wants, by section and key, without comments and blanks.
fn kept_sections(text: &str, keep: &dyn Fn(&str, &str) -> bool) -> String {
    let (mut section, mut key) = (String::new(), String::new());
    let mut kept: Vec<String> = Vec::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let is_header =
            bare.starts_with('[') && !line.starts_with([' ', '\t']) && bare.contains(']');
        if is_header {
            let inner = bare
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default();
            section = inner.trim().replace(['"', ' '], "");
            key.clear();
            if keep(&section, "") {
                kept.push(format!("[{section}]"));
            }
            continue;
        }
        let named = bare.split_once('=').map(|(name, _)| name.trim());
        if let Some(name) = named.filter(|_| !line.starts_with([' ', '\t'])) {
            name.split('.')
                .next()
                .unwrap_or(name)
                .trim_matches('"')
                .clone_into(&mut key);
        }
        if keep(&section, &key) {
            kept.push(format!("{section}: {bare}"));
        }
    }
    kept.join("\n")
}
