//! Toolchains that one line describes, and test commands of no language.

use super::listing::FileInfo;
use super::text::targets;
use super::view::{View, join};
use super::{Finding, ToolchainKind};

/// Kind, manifests, build command, test command.
type Row = (
    ToolchainKind,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const TABLE: &[Row] = &[
    (
        ToolchainKind::Elixir,
        &["mix.exs"],
        "mix compile",
        "mix test",
    ),
    (
        ToolchainKind::Swift,
        &["Package.swift"],
        "swift build",
        "swift test",
    ),
    (
        ToolchainKind::Zig,
        &["build.zig"],
        "zig build",
        "zig build test",
    ),
];

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    for (kind, manifests, build, test) in TABLE {
        let mut finding = Finding::new(*kind);
        for dir in view.projects(manifests) {
            let manifest = view.first_in(dir, manifests).unwrap_or_default();
            finding.toolchain(Some(&manifest), None, &[]);
            finding.build((dir, &manifest), build, "its usual build command");
            finding.test((dir, &manifest), test, "its usual test command");
        }
        if !finding.toolchain.is_empty() {
            return Some(finding);
        }
    }
    php(view).or_else(|| dotnet(view))
}

fn php(view: &View<'_>) -> Option<Finding> {
    let dirs = view.projects(&["composer.json"]);
    let mut finding = Finding::new(ToolchainKind::Php);
    for dir in &dirs {
        let manifest = join(dir, "composer.json");
        finding.toolchain(Some(&manifest), None, &["composer"]);
        let text = view.text(&manifest).unwrap_or("");
        let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let at = (*dir, manifest.as_str());
        if !package["scripts"]["test"].is_null() {
            finding.test(at, "composer test", "its `test` script");
        } else if text.contains("phpunit/phpunit") {
            finding.test(
                at,
                "vendor/bin/phpunit",
                "phpunit is among the dependencies",
            );
        }
    }
    (!dirs.is_empty()).then_some(finding)
}

fn dotnet(view: &View<'_>) -> Option<Finding> {
    let shallowest = |extensions: [&str; 2]| {
        let named = move |f: &&FileInfo| extensions.contains(&f.extension()) && !f.aside;
        let found = view.files().iter().filter(named);
        found.min_by_key(|f| (f.depth, &f.path))
    };
    let manifest = shallowest(["sln", "slnx"]).or_else(|| shallowest(["csproj", "fsproj"]))?;
    let dir = manifest.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut finding = Finding::new(ToolchainKind::Dotnet);
    finding.toolchain(Some(&manifest.path), None, &[]);
    finding.build((dir, &manifest.path), "dotnet build", "a .NET project");
    finding.test((dir, &manifest.path), "dotnet test", "a .NET project");
    Some(finding)
}

/// Test commands that any project may have; they come after those of the languages.
pub(super) fn generic(view: &View<'_>, found: &[Finding]) -> Option<Finding> {
    let mut finding = Finding::new(ToolchainKind::Shell);
    let known = |command: &str| {
        found
            .iter()
            .flat_map(|f| &f.test)
            .any(|t| t.command == command)
    };
    let files: [(&[&str], &str); 3] = [
        (&["GNUmakefile", "makefile", "Makefile"], "make"),
        (&["justfile", "Justfile"], "just"),
        (&["Taskfile.yml"], "task"),
    ];
    for (names, program) in files {
        let Some(path) = view.first_in("", names) else {
            continue;
        };
        let text = view.text(&path).unwrap_or("");
        let indented = program == "task" && text.lines().any(|l| l.trim_end() == "  test:");
        let rules: Vec<&str> = targets(text).collect();
        let rule = ["test", "check"].into_iter().find(|r| rules.contains(r));
        let Some(rule) = rule.or(indented.then_some("test")) else {
            continue;
        };
        let command = format!("{program} {rule}");
        if !known(&command) {
            finding.toolchain(Some(&path), None, &[program]);
            finding.test(("", &path), &command, "a rule of that name");
        }
    }
    let scripts = [
        "script/test",
        "scripts/test.sh",
        "bin/test",
        "run_tests.sh",
        "test.sh",
        "runtests.sh",
    ];
    for path in scripts {
        if let Some(file) = view.file(path) {
            let run = if file.executable {
                format!("./{path}")
            } else {
                format!("sh {path}")
            };
            finding.test(("", path), &run, "a script of that name");
        }
    }
    (!finding.test.is_empty()).then_some(finding)
}
