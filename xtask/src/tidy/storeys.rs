//! Which module of a crate may import which: the crates whose modules lie in storeys.

use std::path::Path;

use super::Finding;

/// Crates with their top-level modules from the lowest to the highest. A module imports from those
/// before it and from itself.
const STOREYS: &[(&str, &[&str])] = &[(
    "omoi-plan",
    &[
        "finding",
        "ids",
        "ears",
        "wording",
        "repository",
        "outputs",
        "sections",
        "normalise",
        "items",
        "task_edits",
        "coverage",
        "evaluate",
        "sync",
        "opinion",
        "artifacts",
    ],
)];

const TABLE: &str = "the table is in xtask/src/tidy/storeys.rs";

/// Checks one file; crates without a table are left alone.
pub(crate) fn check(file: &Path, text: &str) -> Vec<Finding> {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let ["crates", name, "src", inner @ ..] = parts.as_slice() else {
        return Vec::new();
    };
    let (Some((_, storeys)), Some(top)) = (
        STOREYS.iter().find(|(of, _)| of == name),
        inner.first().map(|top| top.trim_end_matches(".rs")),
    ) else {
        return Vec::new();
    };
    if file.extension().is_none_or(|ending| ending != "rs") {
        return Vec::new();
    }
    let numbered = (1..).zip(text.lines());
    let code = numbered.filter(|(_, line)| !line.trim_start().starts_with("//"));
    if top == "lib" {
        let declared = code.filter_map(|(n, line)| Some((n, declared_module(line)?)));
        let unknown = declared.filter(|(_, module)| !storeys.contains(module));
        return unknown
            .map(|(n, module)| {
                let what = format!("`{module}` has no storey");
                Finding::new(file, n, what, format!("give it a place; {TABLE}"))
            })
            .collect();
    }
    let own = storeys.iter().position(|module| *module == top);
    code.flat_map(|(n, line)| {
        let climbs = climbs_out(line, inner.len()).then(|| {
            let what = "`super` leaves the module".to_owned();
            Finding::new(file, n, what, "write the path from `crate`")
        });
        let upward = crate_modules(line).filter_map(move |module| {
            let at = storeys.iter().position(|storey| *storey == module);
            let is_allowed = at.zip(own).is_some_and(|(at, own)| at <= own);
            if module.is_empty() {
                let what = "a list right after `crate::`";
                return Some(Finding::new(file, n, what, "write one import per module"));
            }
            let what = format!("`{top}` may not import from `{module}`");
            let remedy = format!("imports go down only: move what both need below both; {TABLE}");
            (!is_allowed).then(|| Finding::new(file, n, what, remedy))
        });
        climbs.into_iter().chain(upward)
    })
    .collect()
}

/// The name in `mod name;`, whatever its visibility.
fn declared_module(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("mod ")?;
    rest.trim().strip_suffix(';')
}

/// What follows each `crate::` of a line; the crate's own paths only, not those of a visibility.
fn crate_modules(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("crate::");
    starts.filter_map(|(at, mark)| {
        let before = line[..at].chars().next_back();
        let is_own = !before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric());
        let rest = &line[at + mark.len()..];
        let end = rest.find(|c: char| !(c == '_' || c.is_alphanumeric()));
        is_own.then_some(&rest[..end.unwrap_or(rest.len())])
    })
}

/// Whether a chain of `super::` goes above the top-level module of a file `depth` names deep. Code
/// that is indented may lie in a module of its own, such as the tests of a file.
fn climbs_out(line: &str, depth: usize) -> bool {
    let nested = usize::from(line.starts_with(' '));
    line.split(|c: char| !(c == ':' || c == '_' || c.is_alphanumeric()))
        .any(|path| path.split("::").take_while(|part| *part == "super").count() >= depth + nested)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(file: &str, text: &str, lines: &[usize]) {
        let file = format!("crates/omoi-plan/src/{file}");
        let found: Vec<_> = check(Path::new(&file), text)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(found, lines, "{file}: {text}");
    }

    #[test]
    fn imports_go_down_only() {
        check_file(
            "normalise.rs",
            "use crate::outputs::tasks::TasksOutput;\n",
            &[],
        );
        check_file(
            "normalise/rules.rs",
            "use crate::normalise::rewrite_log::Log;\n",
            &[],
        );
        check_file("normalise.rs", "\nuse crate::evaluate::Facts;\n", &[2]);
        check_file(
            "coverage/planned.rs",
            "fn f(x: crate::sync::Row) {}\n",
            &[1],
        );
        check_file("coverage.rs", "// see crate::sync\n", &[]);
        check_file("coverage.rs", "pub(in crate::coverage) fn f() {}\n", &[]);
        check_file("ids.rs", "use omoi_domain::task::Priority;\n", &[]);
    }

    #[test]
    fn a_way_around_the_table_is_seen() {
        check_file("normalise.rs", "use super::evaluate::Facts;\n", &[1]);
        check_file("normalise/rules.rs", "use super::rewrite_log::Log;\n", &[]);
        check_file(
            "normalise/rules.rs",
            "use super::super::evaluate::Facts;\n",
            &[1],
        );
        check_file("normalise.rs", "mod tests {\n    use super::*;\n}\n", &[]);
        check_file("normalise.rs", "use crate::{evaluate, ids};\n", &[1]);
        check_file("helpers.rs", "use crate::ids::PlanId;\n", &[1]);
        check_file("lib.rs", "pub mod ids;\npub mod helpers;\n", &[2]);
    }

    #[test]
    fn other_crates_have_no_storeys() {
        let file = Path::new("crates/omoi-git/src/mirror.rs");
        assert_eq!(check(file, "use crate::work::Work;\n"), []);
    }
}
