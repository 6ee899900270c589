//! Notable files: entry points, key files, and files that show a convention.

use std::cmp::Reverse;

use super::NotableFile;
use super::listing::FileInfo;
use super::text::{has_section, read_setting};
use super::view::SurveyView;

const ENTRY_POINTS_MAX: usize = 30;
const KEY_FILES_MAX: usize = 60;
const LARGE_SOURCES: usize = 5;

/// File names that begin a program, and what they begin.
const ENTRY_NAMES: &[(&str, &str)] = &[
    ("__main__.py", "Python program"),
    ("manage.py", "Django command line"),
    ("wsgi.py", "Python web application"),
    ("asgi.py", "Python web application"),
    ("app.py", "Python application"),
    ("main.py", "Python program"),
    ("cli.py", "Python command line"),
    ("main.go", "Go program"),
    ("main.c", "C program"),
    ("main.cc", "C++ program"),
    ("main.cpp", "C++ program"),
    ("Main.java", "Java program"),
    ("Main.kt", "Kotlin program"),
    ("config.ru", "Ruby web application"),
    ("Program.cs", "C# program"),
    ("index.js", "JavaScript module"),
    ("index.ts", "TypeScript module"),
    ("server.js", "JavaScript server"),
    ("server.ts", "TypeScript server"),
    ("main.ts", "TypeScript program"),
    ("main.js", "JavaScript program"),
];

/// Path, what it is. A trailing `*` matches any rest, a leading `**/` any folder.
const KEY_PATTERNS: &[(&str, &str)] = &[
    ("README*", "what the project is"),
    ("readme*", "what the project is"),
    ("ARCHITECTURE*", "how it is built"),
    ("CONTRIBUTING*", "how to work on it"),
    ("AGENTS.md", "instructions for agents"),
    ("CLAUDE.md", "instructions for agents"),
    ("CHANGELOG*", "what changed"),
    ("LICENSE*", "licence"),
    ("pyproject.toml", "Python manifest"),
    ("setup.py", "Python manifest"),
    ("Cargo.toml", "Rust manifest"),
    ("package.json", "Node manifest"),
    ("go.mod", "Go manifest"),
    ("pom.xml", "Maven manifest"),
    ("build.gradle*", "Gradle manifest"),
    ("CMakeLists.txt", "CMake manifest"),
    ("Gemfile", "Ruby manifest"),
    ("Makefile", "make rules"),
    ("justfile", "just recipes"),
    ("Dockerfile*", "container image"),
    ("docker-compose*", "services"),
    ("compose.y*", "services"),
    (".github/workflows/*", "continuous integration"),
    (".gitlab-ci.yml", "continuous integration"),
    (".circleci/*", "continuous integration"),
    ("docs/README*", "documentation"),
    ("docs/index*", "documentation"),
    ("**/openapi.*", "HTTP interface"),
    ("**/schema.sql", "database schema"),
    ("**/schema.prisma", "database schema"),
];

/// File at the root, the habit it shows.
const HABIT_FILES: &[(&str, &str)] = &[
    (".editorconfig", "editor settings are shared"),
    (".pre-commit-config.yaml", "pre-commit hooks are used"),
    ("rustfmt.toml", "formatted by rustfmt with settings"),
    ("clippy.toml", "linted by clippy with settings"),
    ("ruff.toml", "linted by ruff"),
    (".flake8", "linted by flake8"),
    ("mypy.ini", "types checked by mypy"),
    (".eslintrc.json", "linted by ESLint"),
    (".eslintrc.js", "linted by ESLint"),
    ("eslint.config.js", "linted by ESLint"),
    ("eslint.config.mjs", "linted by ESLint"),
    (".prettierrc", "formatted by Prettier"),
    ("biome.json", "formatted and linted by Biome"),
    ("tsconfig.json", "types checked by TypeScript"),
    (".golangci.yml", "linted by golangci-lint"),
    (".rubocop.yml", "linted by RuboCop"),
    (".clang-format", "formatted by clang-format"),
    (".clang-tidy", "linted by clang-tidy"),
];

fn notable_file(path: &str, what: &str) -> NotableFile {
    NotableFile {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

pub(super) fn entry_points(view: &SurveyView<'_>) -> Vec<NotableFile> {
    let own = |f: &&FileInfo| !f.aside && !f.is_test() && f.depth <= 5;
    let mut found: Vec<(usize, NotableFile)> = Vec::new();
    for file in view.files().iter().filter(own) {
        let rust = match file.path.strip_suffix(".rs").map(|p| p.rsplit_once("src/")) {
            Some(Some((_, "main"))) => Some("Rust program"),
            Some(Some((_, "lib"))) => Some("Rust library"),
            Some(Some((_, rest))) if rest.starts_with("bin/") => Some("Rust program"),
            _ => None,
        };
        let named = || {
            ENTRY_NAMES
                .iter()
                .find(|(name, _)| *name == file.file_name())
                .map(|(_, what)| *what)
        };
        let spring = || {
            file.file_name()
                .ends_with("Application.java")
                .then_some("Java application")
        };
        let script = || {
            let dir = file.path.split('/').next().unwrap_or("");
            let in_bin = matches!(dir, "bin" | "exe") && file.depth == 1;
            (in_bin && file.executable).then_some("command")
        };
        if let Some(what) = rust.or_else(named).or_else(spring).or_else(script) {
            found.push((file.depth, notable_file(&file.path, what)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.path.cmp(&b.1.path)));
    let mut points: Vec<NotableFile> = declared_entry_points(view);
    points.extend(found.into_iter().map(|(_, point)| point));
    points.truncate(ENTRY_POINTS_MAX);
    points
}

/// Entry points that a root manifest names.
fn declared_entry_points(view: &SurveyView<'_>) -> Vec<NotableFile> {
    let mut points = Vec::new();
    if let Some(text) = view.file_text("pyproject.toml") {
        let section = text.split("[project.scripts]").nth(1).unwrap_or("");
        for line in section
            .lines()
            .skip(1)
            .take_while(|l| !l.starts_with('['))
            .take(10)
        {
            if let Some((name, target)) = line.split_once('=') {
                let what = format!(
                    "command `{}` → {}",
                    name.trim(),
                    target.trim().trim_matches('"')
                );
                points.push(notable_file("pyproject.toml", &what));
            }
        }
    }
    if let Some(text) = view.file_text("package.json") {
        let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        for key in ["main", "module", "types"] {
            if let Some(target) = package[key].as_str() {
                points.push(notable_file("package.json", &format!("`{key}` → {target}")));
            }
        }
        let commands = match &package["bin"] {
            serde_json::Value::String(target) => vec![target.as_str()],
            serde_json::Value::Object(map) => map.values().filter_map(|v| v.as_str()).collect(),
            _ => Vec::new(),
        };
        for target in commands.into_iter().take(10) {
            points.push(notable_file("package.json", &format!("command → {target}")));
        }
    }
    points
}

pub(super) fn key_files(view: &SurveyView<'_>) -> Vec<NotableFile> {
    let mut found: Vec<(usize, NotableFile)> = Vec::new();
    for file in view.files().iter().filter(|f| f.depth <= 4 && !f.aside) {
        let hit = KEY_PATTERNS
            .iter()
            .position(|(pattern, _)| matches_pattern(pattern, &file.path));
        if let Some(rank) = hit {
            found.push((rank, notable_file(&file.path, KEY_PATTERNS[rank].1)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.path.cmp(&b.1.path)));
    found.truncate(KEY_FILES_MAX - LARGE_SOURCES);
    let prose = ["Markdown", "HTML", "CSS", "reStructuredText", "SQL"];
    let mut sources: Vec<&FileInfo> = view
        .files()
        .iter()
        .filter(|f| f.bytes > 0 && !f.aside && !f.is_test())
        .filter(|f| f.language.is_some_and(|l| !prose.contains(&l)))
        .collect();
    sources.sort_by_key(|f| (Reverse(f.bytes), &f.path));
    let large = sources
        .iter()
        .take(LARGE_SOURCES)
        .map(|f| notable_file(&f.path, "one of the largest sources"));
    found
        .into_iter()
        .map(|(_, file)| file)
        .chain(large)
        .collect()
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (path, pattern) = match pattern.strip_prefix("**/") {
        Some(rest) => (path.rsplit('/').next().unwrap_or(path), rest),
        None => (path, pattern),
    };
    match pattern.strip_suffix('*') {
        Some(start) => path
            .strip_prefix(start)
            .is_some_and(|rest| !rest.contains('/')),
        None => path == pattern,
    }
}

pub(super) fn find_conventions(view: &SurveyView<'_>) -> Vec<NotableFile> {
    let mut found: Vec<NotableFile> = HABIT_FILES
        .iter()
        .filter(|(path, _)| view.has_file(path))
        .map(|(path, what)| notable_file(path, what))
        .collect();
    if let Some(text) = view.file_text("pyproject.toml") {
        let tools = [
            ("tool.ruff", "linted by ruff"),
            ("tool.black", "formatted by Black"),
            ("tool.isort", "imports sorted by isort"),
            ("tool.mypy", "types checked by mypy"),
            ("tool.pyright", "types checked by pyright"),
        ];
        for (section, what) in tools
            .iter()
            .filter(|(section, _)| has_section(text, section))
        {
            let length = read_setting(text, section, "line-length");
            let what = length.map_or_else(
                || (*what).to_owned(),
                |n| format!("{what}, lines up to {n}"),
            );
            found.push(notable_file("pyproject.toml", &what));
        }
    }
    if let Some(text) = view.file_text("Cargo.toml") {
        let lints = ["lints", "workspace.lints"]
            .iter()
            .any(|section| has_section(text, section));
        if lints {
            found.push(notable_file(
                "Cargo.toml",
                "lints are declared in the manifest",
            ));
        }
        let edition = read_setting(text, "package", "edition")
            .or_else(|| read_setting(text, "workspace.package", "edition"));
        found.extend(edition.map(|e| notable_file("Cargo.toml", &format!("Rust edition {e}"))));
    }
    if view
        .files()
        .iter()
        .any(|f| f.path.starts_with("src/") && f.path.ends_with("/__init__.py"))
    {
        found.push(notable_file("src", "Python packages live under src/"));
    }
    for dir in ["tests", "test", "spec"] {
        if view.has_dir(dir) {
            found.push(notable_file(dir, "tests live apart from the code"));
        }
    }
    found
}
