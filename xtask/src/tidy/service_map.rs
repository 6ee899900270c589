//! `docs/service-map.md`: which role runs which loop, what wakes it and what it reaches. Made from the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// The generated page.
const PAGE: &str = "docs/service-map.md";
/// The registry of events and their consumers.
const REGISTRY: &str = "crates/omoi-domain/src/event.rs";
/// Where the roles of a process are told apart.
const ROOT: &str = "crates/omoi/src/composition.rs";

/// Which roles start a task that lives as long as the process. Reconcilers are the orchestrator's alone.
const ROLES: &[(&str, &str)] = &[
    ("agents' stop", "orchestrator"),
    ("bus-listener", "api, orchestrator"),
    ("control socket", "api"),
    ("http", "api, orchestrator"),
    ("lease keeper", "orchestrator"),
    ("outbox pump", "orchestrator"),
    ("outbox publisher", "api, orchestrator"),
    ("revocations", "api, orchestrator"),
    ("simulated model", "api, orchestrator"),
    ("worker socket", "orchestrator"),
];

/// Crates that stand for a service, as the map names them.
const SERVICES: &[(&str, &str)] = &[
    ("omoi_store", "database"),
    ("omoi_git", "git"),
    ("omoi_sandbox", "sandbox"),
    ("omoi_llm", "model"),
    ("omoi_plan", "rules of planning"),
];

const HEAD: &str = "\
# Service map

Which role of a process runs which loop, what wakes it and what it reaches. Generated from the code by
`cargo xtask service-map`; `cargo xtask tidy` refuses a page that is not current.

`omoi up` and `omoi run` play both roles; `omoi serve --roles …` plays those it names (`crates/omoi/src/composition.rs`).

## Reconcilers

All are run by the `orchestrator` role. Events are hints: each also looks by itself every
`monitoring.poll_interval_seconds`.

| Loop | Does | Code | Reaches | Woken by |
| --- | --- | --- | --- | --- |
";

/// A reconciler of the registry.
struct Loop<'a> {
    name: &'a str,
    does: &'a str,
}

/// A task that lives as long as its process.
struct Task<'a> {
    file: &'a Path,
    line: usize,
    name: &'a str,
}

/// Compares the page with the code.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let page = Path::new(PAGE);
    let mut findings = Vec::new();
    for task in tasks(texts) {
        if roles_of(task.name).is_none() {
            let what = format!("`{}` is a new task of a process", task.name);
            let remedy = "say which role starts it, in xtask/src/tidy/service_map.rs";
            findings.push(Finding::new(task.file, task.line, what, remedy));
        }
    }
    if !texts.contains_key(Path::new(ROOT)) {
        let remedy = "tell this rule where roles are told apart";
        findings.push(Finding::new(Path::new(ROOT), 1, "no such file", remedy));
    }
    if texts.get(page).copied() != Some(render(texts).as_str()) {
        let remedy = "write it again: cargo xtask service-map";
        findings.push(Finding::new(
            page,
            1,
            "the map is not what the code says",
            remedy,
        ));
    }
    findings
}

/// Writes the page again.
#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
pub(super) fn write(root: &Path, texts: &Texts<'_>) -> Result<()> {
    std::fs::write(root.join(PAGE), render(texts)).context("could not write the service map")
}

fn render(texts: &Texts<'_>) -> String {
    let mut page = HEAD.to_owned();
    let registry = texts.get(Path::new(REGISTRY)).copied().unwrap_or_default();
    for found in loops(registry) {
        let file = implementation(texts, found.name);
        let reaches = file.map_or_else(String::new, |file| reaches(texts, file));
        let code = file.map_or_else(String::new, |file| format!("`{}`", file.display()));
        let _ = writeln!(
            page,
            "| {} | {} | {code} | {reaches} | {} |",
            found.name.to_lowercase(),
            found.does,
            woken_by(registry, found.name).join(", ")
        );
    }
    page.push_str("\n## Other tasks of a process\n\n| Task | Role | Code |\n| --- | --- | --- |\n");
    for task in tasks(texts) {
        let roles = roles_of(task.name).unwrap_or("?");
        let _ = writeln!(
            page,
            "| {} | {roles} | `{}` |",
            task.name,
            task.file.display()
        );
    }
    page
}

fn roles_of(task: &str) -> Option<&'static str> {
    let found = ROLES.iter().find(|(name, _)| *name == task);
    found.map(|(_, roles)| *roles)
}

/// The values of the closed set `Consumer`, each with its doc.
fn loops(registry: &str) -> Vec<Loop<'_>> {
    let set = registry
        .split_once("    Consumer {\n")
        .map_or("", |(_, set)| set);
    let set = set.split_once("\n    }").map_or("", |(set, _)| set);
    let mut does = "";
    let mut loops = Vec::new();
    for line in set.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            does = doc;
        } else if let Some((name, _)) = line.split_once(" = \"") {
            loops.push(Loop { name, does });
        }
    }
    loops
}

/// Lines such as `SpecCreated = "spec.created", SpecChange, Spec, SpecRead, Run, [Planner];`.
fn woken_by<'a>(registry: &'a str, consumer: &str) -> Vec<&'a str> {
    let kinds = registry.lines().filter_map(|line| {
        let (_, rest) = line.trim().split_once(" = \"")?;
        let (kind, rest) = rest.split_once('"')?;
        let (consumers, _) = rest.split_once('[')?.1.split_once(']')?;
        consumers
            .split(", ")
            .any(|name| name == consumer)
            .then_some(kind)
    });
    kinds.collect()
}

/// The file that implements a loop: the one that answers with its name.
fn implementation<'a>(texts: &Texts<'a>, consumer: &str) -> Option<&'a Path> {
    let answer = format!("Consumer::{consumer}\n");
    let mut files = texts.iter().filter(|(file, text)| {
        let is_source =
            file.starts_with("crates") && !is_test(file) && **file != Path::new(REGISTRY);
        is_source && text.contains("fn consumer(&self)") && text.contains(&answer)
    });
    files.next().map(|(file, _)| *file)
}

/// The services that the file of a loop and the modules below it import.
fn reaches(texts: &Texts<'_>, file: &Path) -> String {
    let below = file.with_extension("");
    let mut found = BTreeSet::new();
    for (module, text) in texts {
        if (*module == file || module.starts_with(&below)) && !is_test(module) {
            let lines = lines_without_tests(text).map(|(_, line)| line);
            let words: Vec<&str> = lines.flat_map(|line| line.split("::")).collect();
            let is_named = |name: &str| words.iter().any(|word| word.ends_with(name));
            found.extend(
                SERVICES
                    .iter()
                    .filter(|(name, _)| is_named(name))
                    .map(|(_, says)| *says),
            );
        }
    }
    found.into_iter().collect::<Vec<_>>().join(", ")
}

/// Everything spawned through a lifecycle under a name of its own.
fn tasks<'a>(texts: &Texts<'a>) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for (&file, &text) in texts {
        if !file.starts_with("crates") || is_test(file) || file.starts_with("crates/omoi-testkit") {
            continue;
        }
        let end = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
        for (at, call) in text[..end].match_indices(".spawn(") {
            let rest = text[at + call.len()..].trim_start();
            let Some((name, after)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
            else {
                continue;
            };
            if after.starts_with(", SpawnKind::Critical")
                || after
                    .trim_start_matches(',')
                    .trim_start()
                    .starts_with("SpawnKind::Critical")
            {
                let line = text[..at].matches('\n').count() + 1;
                tasks.push(Task { file, line, name });
            }
        }
    }
    tasks.sort_by_key(|task| task.name);
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "crate::closed_set! {\n    Consumer {\n        /// Drives the phases.\n        Planner = \"planner\",\n    }\n}\n\
                          events! {\n    Made = \"spec.made\", Change, Spec, SpecRead, Run, [Planner];\n    Lost = \"spec.lost\", Change, Spec, SpecRead, Run, [];\n}\n";
    const PLANNER: &str = "use omoi_git::mirror;\nimpl Consume for Planner {\n    fn consumer(&self) -> Consumer {\n        \
                           Consumer::Planner\n    }\n}\n";

    fn texts<'a>(main: &'a str, page: &'a str) -> Texts<'a> {
        [
            (Path::new(REGISTRY), EVENTS),
            (Path::new("crates/omoi-planning/src/planner.rs"), PLANNER),
            (
                Path::new("crates/omoi-planning/src/planner/step.rs"),
                "use omoi_store::specs;\n",
            ),
            (Path::new(ROOT), main),
            (Path::new(PAGE), page),
        ]
        .into()
    }

    #[test]
    fn the_page_is_what_the_code_says() {
        let main = "lifecycle\n    .spawn(\n        \"http\",\n        SpawnKind::Critical, x);\n";
        let page = render(&texts(main, ""));
        let row = "| planner | Drives the phases. | `crates/omoi-planning/src/planner.rs` | database, git | spec.made |";
        assert!(page.contains(row), "{page}");
        assert!(
            page.contains("| http | api, orchestrator | `crates/omoi/src/composition.rs` |"),
            "{page}"
        );
        assert_eq!(check(&texts(main, &page)), []);
        assert_eq!(check(&texts(main, "old")).len(), 1);
    }

    #[test]
    fn a_task_without_a_role_is_refused() {
        let main = "handle.spawn(\"new\", SpawnKind::Critical, x);\nhandle.spawn(\"work\", SpawnKind::Work, x);\n";
        let page = render(&texts(main, ""));
        assert_eq!(check(&texts(main, &page)).len(), 1);
    }
}
