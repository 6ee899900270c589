//! JavaScript and TypeScript: package scripts, the common runners, Deno.

use serde_json::Value;

use super::listing::FileInfo;
use super::text::{hint, tool_version, version_file};
use super::view::{View, join};
use super::{Finding, ToolchainKind, VersionHint};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let dirs = view.projects(&["package.json"]);
    if dirs.is_empty() {
        return deno(view);
    }
    let mut finding = Finding::new(ToolchainKind::Node);
    for dir in dirs {
        let manifest = join(dir, "package.json");
        let package: Value = view
            .text(&manifest)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null);
        let program = package_program(view, dir, &package);
        let at = (dir, manifest.as_str());
        if package["scripts"]["build"].is_string() {
            finding.build(at, &format!("{program} run build"), "its `build` script");
        }
        add_tests(view, at, (&package, program), &mut finding);
        let hints = finding.build.iter().chain(&finding.test);
        let called: Vec<&str> = hints.filter_map(|h| h.command.split(' ').next()).collect();
        let programs = [program, "npx"].into_iter().filter(|p| called.contains(p));
        let programs: Vec<&str> = programs.collect();
        finding.toolchain(Some(&manifest), version(view, dir, &package), &programs);
    }
    Some(finding)
}

/// What runs scripts here: the one the package names, else the one whose lock file is here.
fn package_program(view: &View<'_>, dir: &str, package: &Value) -> &'static str {
    let named = package["packageManager"].as_str().unwrap_or("");
    let known = [
        ("pnpm", "pnpm-lock.yaml"),
        ("yarn", "yarn.lock"),
        ("bun", "bun.lock"),
        ("bun", "bun.lockb"),
        ("npm", "package-lock.json"),
    ];
    let by_name = known
        .iter()
        .find(|(program, _)| named.split('@').next() == Some(*program));
    let by_lock = || known.iter().find(|(_, lock)| view.has(&join(dir, lock)));
    by_name
        .or_else(by_lock)
        .map_or("npm", |(program, _)| program)
}

fn add_tests(
    view: &View<'_>,
    at: (&str, &str),
    (package, program): (&Value, &str),
    finding: &mut Finding,
) {
    let script = package["scripts"]["test"].as_str().unwrap_or("");
    // What `npm init` writes is no test.
    if !script.is_empty() && !script.contains("no test specified") {
        let run = if program == "bun" {
            "bun run test".to_owned()
        } else {
            format!("{program} test")
        };
        finding.test(at, &run, "its `test` script");
        return;
    }
    let depends = |name: &str| {
        ["devDependencies", "dependencies"]
            .iter()
            .any(|kind| package[*kind][name].is_string())
    };
    let runners = [
        ("vitest", "npx vitest run"),
        ("jest", "npx jest"),
        ("mocha", "npx mocha"),
        ("ava", "npx ava"),
    ];
    if let Some((name, command)) = runners.iter().find(|(name, _)| depends(name)) {
        finding.test(at, command, &format!("{name} is among the dependencies"));
        return;
    }
    let built_in = view.below(at.0).find(|f| {
        let imports = |t: &str| t.contains("'node:test'") || t.contains("\"node:test\"");
        f.is_test() && view.text(&f.path).is_some_and(imports)
    });
    if let Some(file) = built_in {
        finding.test(
            (at.0, &file.path),
            "node --test",
            "a test imports node:test",
        );
    }
}

fn version(view: &View<'_>, dir: &str, package: &Value) -> Option<VersionHint> {
    let engines = || {
        hint(
            package["engines"]["node"].as_str()?,
            &join(dir, "package.json"),
        )
    };
    version_file(view, dir, ".nvmrc")
        .or_else(|| version_file(view, dir, ".node-version"))
        .or_else(|| tool_version(view, dir, "nodejs"))
        .or_else(engines)
}

fn deno(view: &View<'_>) -> Option<Finding> {
    let dirs = view.projects(&["deno.json", "deno.jsonc"]);
    let mut finding = Finding::new(ToolchainKind::Deno);
    for dir in &dirs {
        let manifest = view
            .first_in(dir, &["deno.json", "deno.jsonc"])
            .unwrap_or_default();
        finding.toolchain(Some(&manifest), None, &[]);
        if view.below(dir).any(FileInfo::is_test) {
            finding.test(
                (dir, &manifest),
                "deno test --allow-all",
                "a Deno project with tests",
            );
        }
    }
    (!dirs.is_empty()).then_some(finding)
}
