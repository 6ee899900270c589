//! Imports that would hide a call of the store from the words: by a bare name, or by another one.

/// The crate whose functions are called by the names of their modules.
const STORE: &str = "omoi_store";

/// Imports among `code` that hide a function of `words`, of which those like `tasks::claim(` count.
pub(super) fn hidden_calls(code: &[(usize, &str)], words: &[&str]) -> Vec<(usize, String)> {
    let calls = words.iter().filter_map(|word| word.strip_suffix('('));
    let calls: Vec<_> = calls.filter_map(|call| call.split_once("::")).collect();
    let mut found = Vec::new();
    for (number, declaration) in declarations(code) {
        let mut paths = Vec::new();
        expand_tree("", &declaration, &mut paths);
        let hidden = paths.iter().find(|path| is_hiding(path, &calls));
        found.extend(hidden.map(|path| {
            let says = format!("`{path}` hides calls: import the module by its own name");
            (number, says)
        }));
    }
    found
}

/// Whether the import of `path` lets one of `calls`, a module and a function each, be called by another name.
fn is_hiding(path: &str, calls: &[(&str, &str)]) -> bool {
    let (path, alias) = match path.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias)),
        None => (path, None),
    };
    let path = path.trim_start_matches("::");
    let path = path.strip_suffix("::self").unwrap_or(path);
    let names: Vec<_> = path.split("::").collect();
    match names[..] {
        [STORE] => alias.is_some(),
        [STORE, module] => alias.is_some() && calls.iter().any(|call| call.0 == module),
        [STORE, module, "*"] => calls.iter().any(|call| call.0 == module),
        [STORE, module, function] => calls.contains(&(module, function)),
        _ => false,
    }
}

/// The `use` declarations of `code` without their first word, each with its first line.
fn declarations(code: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = code.iter();
    while let Some((number, line)) = lines.next() {
        let mut words = line.split_whitespace();
        let first = words.find(|word| !word.starts_with("pub"));
        let (Some("use"), Some((_, begin))) = (first, line.split_once("use ")) else {
            continue;
        };
        let mut text = begin.to_owned();
        while !text.contains(';') {
            let Some((_, line)) = lines.next() else {
                break;
            };
            text.push_str(line.trim());
        }
        let end = text.find(';').unwrap_or(text.len());
        text.truncate(end);
        found.push((*number, text));
    }
    found
}

/// Every path that `tree` names below `prefix`.
fn expand_tree(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((front, rest)) = tree.split_once('{') else {
        if !tree.is_empty() {
            paths.push(format!("{prefix}{tree}"));
        }
        return;
    };
    let prefix = format!("{prefix}{front}");
    let mut depth = 0;
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let branches = inner.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    for branch in branches {
        expand_tree(&prefix, branch, paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[usize]) {
        let code: Vec<_> = (1..).zip(text.lines()).collect();
        let found = hidden_calls(&code, &["tasks::claim(", "specs::block(", ".status = "]);
        let lines: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn a_module_keeps_its_name_and_its_functions_stay_behind_it() {
        for (text, expected) in [
            ("use omoi_store::tasks;", &[][..]),
            ("use omoi_store::tasks::{self, Task};", &[]),
            ("use omoi_store::{StoreError, specs, tasks};", &[]),
            ("use omoi_store::costs as ledger;", &[]),
            ("use omoi_store::tasks::count as n_of;", &[]),
            ("use crate::tasks::claim;", &[]),
            ("use omoi_domain::tasks as rules;", &[]),
            ("use omoi_store::tasks::claim;", &[1]),
            ("pub(crate) use omoi_store::tasks::claim as take;", &[1]),
            ("use omoi_store::tasks::*;", &[1]),
            ("use omoi_store::tasks as rows;", &[1]),
            ("use ::omoi_store::tasks::{self as rows, Task};", &[1]),
            ("use omoi_store as rows;", &[1]),
            ("use omoi_store::{Tx, specs::{Spec, block}, tasks};", &[1]),
            (
                "use a;\n    use omoi_store::{\n        Tx,\n        tasks::{Task, claim},\n    };\nuse b;",
                &[2],
            ),
        ] {
            check(text, expected);
        }
    }
}
