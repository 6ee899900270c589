//! Toolchains described by one table row, and test commands that belong to no language.

use super::ToolchainKind;
use super::finding::{HintSource, ToolchainFinding};
use super::listing::FileInfo;
use super::text::target_names;
use super::view::{SurveyView, join_path};

/// Kind, manifests, build command, test command.
type ToolchainRow = (
    ToolchainKind,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const TABLE: &[ToolchainRow] = &[
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

pub(super) fn detect_other(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    for (kind, manifests, build, test) in TABLE {
        let mut finding = ToolchainFinding::new(*kind);
        for dir in view.project_dirs(manifests) {
            let manifest = view.first_in(dir, manifests).unwrap_or_default();
            finding.add_toolchain(Some(&manifest), None, &[]);
            finding.add_build(
                HintSource::new(dir, &manifest),
                build,
                "its usual build command",
            );
            finding.add_test(
                HintSource::new(dir, &manifest),
                test,
                "its usual test command",
            );
        }
        if !finding.toolchain.is_empty() {
            return Some(finding);
        }
    }
    detect_php(view).or_else(|| detect_dotnet(view))
}

fn detect_php(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let dirs = view.project_dirs(&["composer.json"]);
    let mut finding = ToolchainFinding::new(ToolchainKind::Php);
    for dir in &dirs {
        let manifest = join_path(dir, "composer.json");
        finding.add_toolchain(Some(&manifest), None, &["composer"]);
        let text = view.file_text(&manifest).unwrap_or("");
        let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let source = HintSource::new(dir, &manifest);
        if !package["scripts"]["test"].is_null() {
            finding.add_test(source, "composer test", "its `test` script");
        } else if text.contains("phpunit/phpunit") {
            finding.add_test(
                source,
                "vendor/bin/phpunit",
                "phpunit is among the dependencies",
            );
        }
    }
    (!dirs.is_empty()).then_some(finding)
}

fn detect_dotnet(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let shallowest = |extensions: [&str; 2]| {
        let named = move |f: &&FileInfo| extensions.contains(&f.file_extension()) && !f.aside;
        let found = view.files().iter().filter(named);
        found.min_by_key(|f| (f.depth, &f.path))
    };
    let manifest = shallowest(["sln", "slnx"]).or_else(|| shallowest(["csproj", "fsproj"]))?;
    let dir = manifest.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut finding = ToolchainFinding::new(ToolchainKind::Dotnet);
    finding.add_toolchain(Some(&manifest.path), None, &[]);
    finding.add_build(
        HintSource::new(dir, &manifest.path),
        "dotnet build",
        "a .NET project",
    );
    finding.add_test(
        HintSource::new(dir, &manifest.path),
        "dotnet test",
        "a .NET project",
    );
    Some(finding)
}

/// Test commands that any project may have; they come after those of the languages.
pub(super) fn detect_generic(
    view: &SurveyView<'_>,
    found: &[ToolchainFinding],
) -> Option<ToolchainFinding> {
    let mut finding = ToolchainFinding::new(ToolchainKind::Shell);
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
        let text = view.file_text(&path).unwrap_or("");
        let indented = program == "task" && text.lines().any(|l| l.trim_end() == "  test:");
        let rules: Vec<&str> = target_names(text).collect();
        let rule = ["test", "check"].into_iter().find(|r| rules.contains(r));
        let Some(rule) = rule.or(indented.then_some("test")) else {
            continue;
        };
        let command = format!("{program} {rule}");
        if !known(&command) {
            finding.add_toolchain(Some(&path), None, &[program]);
            finding.add_test(HintSource::new("", &path), &command, "a rule of that name");
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
        if let Some(file) = view.find_file(path) {
            let run = if file.executable {
                format!("./{path}")
            } else {
                format!("sh {path}")
            };
            finding.add_test(HintSource::new("", path), &run, "a script of that name");
        }
    }
    (!finding.test.is_empty()).then_some(finding)
}
