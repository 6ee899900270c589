//! JavaScript and TypeScript: package scripts, the common runners, Deno.

use serde_json::Value;

use super::finding::{HintSource, ToolchainFinding};
use super::listing::FileInfo;
use super::text::{tool_version, version_file, version_hint};
use super::view::{SurveyView, join_path};
use super::{ToolchainKind, VersionHint};

pub(super) fn detect_node(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let dirs = view.project_dirs(&["package.json"]);
    if dirs.is_empty() {
        return detect_deno(view);
    }
    let mut finding = ToolchainFinding::new(ToolchainKind::Node);
    for dir in dirs {
        let manifest = join_path(dir, "package.json");
        let package: Value = view
            .file_text(&manifest)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null);
        let program = package_program(view, dir, &package);
        let source = HintSource::new(dir, &manifest);
        let node_package = NodePackage {
            source,
            json: &package,
            program,
        };
        if package["scripts"]["build"].is_string() {
            finding.add_build(
                source,
                &format!("{program} run build"),
                "its `build` script",
            );
        }
        add_node_tests(view, &node_package, &mut finding);
        let hints = finding.build.iter().chain(&finding.test);
        let called: Vec<&str> = hints.filter_map(|h| h.command.split(' ').next()).collect();
        let programs = [program, "npx"].into_iter().filter(|p| called.contains(p));
        let programs: Vec<&str> = programs.collect();
        finding.add_toolchain(
            Some(&manifest),
            node_version(view, dir, &package),
            &programs,
        );
    }
    Some(finding)
}

/// What runs scripts here: the one the package names, else the one whose lock file is here.
fn package_program(view: &SurveyView<'_>, dir: &str, package: &Value) -> &'static str {
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
    let by_lock = || {
        known
            .iter()
            .find(|(_, lock)| view.has_file(&join_path(dir, lock)))
    };
    by_name
        .or_else(by_lock)
        .map_or("npm", |(program, _)| program)
}

/// One `package.json` and the program that runs its scripts.
struct NodePackage<'a> {
    source: HintSource<'a>,
    json: &'a Value,
    program: &'static str,
}

fn add_node_tests(
    view: &SurveyView<'_>,
    node_package: &NodePackage<'_>,
    finding: &mut ToolchainFinding,
) {
    let NodePackage {
        source,
        json: package,
        program,
    } = *node_package;
    let script = package["scripts"]["test"].as_str().unwrap_or("");
    // What `npm init` writes is no test.
    if !script.is_empty() && !script.contains("no test specified") {
        let run = if program == "bun" {
            "bun run test".to_owned()
        } else {
            format!("{program} test")
        };
        finding.add_test(source, &run, "its `test` script");
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
        finding.add_test(
            source,
            command,
            &format!("{name} is among the dependencies"),
        );
        return;
    }
    let built_in = view.files_below(source.dir).find(|f| {
        let imports = |t: &str| t.contains("'node:test'") || t.contains("\"node:test\"");
        f.is_test() && view.file_text(&f.path).is_some_and(imports)
    });
    if let Some(file) = built_in {
        finding.add_test(
            HintSource::new(source.dir, &file.path),
            "node --test",
            "a test imports node:test",
        );
    }
}

fn node_version(view: &SurveyView<'_>, dir: &str, package: &Value) -> Option<VersionHint> {
    let engines = || {
        version_hint(
            package["engines"]["node"].as_str()?,
            &join_path(dir, "package.json"),
        )
    };
    version_file(view, dir, ".nvmrc")
        .or_else(|| version_file(view, dir, ".node-version"))
        .or_else(|| tool_version(view, dir, "nodejs"))
        .or_else(engines)
}

fn detect_deno(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let dirs = view.project_dirs(&["deno.json", "deno.jsonc"]);
    let mut finding = ToolchainFinding::new(ToolchainKind::Deno);
    for dir in &dirs {
        let manifest = view
            .first_in(dir, &["deno.json", "deno.jsonc"])
            .unwrap_or_default();
        finding.add_toolchain(Some(&manifest), None, &[]);
        if view.files_below(dir).any(FileInfo::is_test) {
            finding.add_test(
                HintSource::new(dir, &manifest),
                "deno test --allow-all",
                "a Deno project with tests",
            );
        }
    }
    (!dirs.is_empty()).then_some(finding)
}
