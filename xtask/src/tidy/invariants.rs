//! An invariant that nothing holds is a wish: each **Invariant:** paragraph of the docs names the file of the
//! crate edge, type, test or tidy rule that holds it.

use super::doc_paths::{is_there, name_path, named_files};
use super::files::prose;
use super::{Finding, Texts};

/// How an invariant begins; in two parts, so that this rule does not find itself.
const MARK: [&str; 2] = ["**Invar", "iant:**"];

/// Checks every page but the decisions.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in prose(texts) {
        for (line, says) in invariants(text) {
            let named: Vec<&str> = says.iter().flat_map(|line| named_files(line)).collect();
            let holder = named.iter().find(|name| is_there(&name_path(name), texts));
            if holder.is_none() {
                let what = "an invariant without what holds it";
                let remedy =
                    "name the file of the crate edge, type, test or tidy rule, or delete the line";
                findings.push(Finding::new(file, line, what, remedy));
            }
        }
    }
    findings
}

/// Each invariant with its first line: up to the next one, an empty line or another bold term.
fn invariants(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mark = MARK.concat();
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let mut parts = line.split(mark.as_str());
        let before = parts.next().unwrap_or_default();
        if line.trim().is_empty() {
            is_open = false;
        } else if is_open && let Some((_, says)) = found.last_mut() {
            says.push(before);
        }
        for part in parts {
            found.push((number, vec![part]));
            is_open = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn findings(text: &str) -> Vec<usize> {
        let text = text.replace("INV", &MARK.concat());
        let texts: Texts<'_> = [
            (Path::new("ARCHITECTURE.md"), text.as_str()),
            (Path::new("xtask/src/tidy/edges.rs"), ""),
        ]
        .into();
        check(&texts).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_invariant_names_what_holds_it() {
        let held = "INV no I/O; held by\n`xtask/src/tidy/edges.rs`.\n";
        assert_eq!(findings(held), Vec::<usize>::new());
        assert_eq!(
            findings("\nINV no I/O.\n\n`xtask/src/tidy/edges.rs`\n"),
            [2]
        );
        assert_eq!(findings("INV held by `xtask/src/tidy/gone.rs`\n"), [1]);
        assert_eq!(
            findings("INV one. INV two (`xtask/src/tidy/edges.rs`).\n"),
            [1]
        );
    }
}
