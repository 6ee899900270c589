//! A name is found by searching for it: no two files define types of one name, and a `pub` function of one
//! word is a plain verb of the field.
//!
//! What breaks the rule today is listed in two files beside this one, with how often. The lists only
//! shrink: what is new is refused, what is gone is taken off by `cargo xtask tidy --shrink`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::figures::names::{Names, function_words};
use super::figures::{Source, sources};
use super::{Finding, Texts};

/// Type names that more than one file defines, with how many files do.
const DUPLICATE_TYPES: &str = "xtask/src/tidy/names/duplicate-types.txt";
/// `pub` functions of one word that is no listed verb, with how many there are.
const SINGLE_WORDS: &str = "xtask/src/tidy/names/single-words.txt";

/// Verbs that say enough beside the type or module that they are called through.
const VERBS: &[&str] = &[
    "abort",
    "add",
    "append",
    "apply",
    "begin",
    "build",
    "call",
    "cancel",
    "check",
    "claim",
    "clear",
    "close",
    "commit",
    "complete",
    "contains",
    "count",
    "create",
    "decide",
    "delete",
    "detect",
    "end",
    "enqueue",
    "evaluate",
    "execute",
    "exists",
    "fail",
    "fetch",
    "find",
    "finish",
    "get",
    "import",
    "insert",
    "install",
    "join",
    "kill",
    "len",
    "list",
    "load",
    "lock",
    "merge",
    "migrate",
    "new",
    "next",
    "open",
    "parse",
    "pop",
    "print",
    "push",
    "read",
    "record",
    "release",
    "remove",
    "render",
    "renew",
    "replace",
    "reset",
    "resolve",
    "resume",
    "retry",
    "rollback",
    "run",
    "save",
    "send",
    "serve",
    "spawn",
    "split",
    "start",
    "stop",
    "submit",
    "transition",
    "update",
    "validate",
    "wait",
    "write",
];

/// A name with where it stands, once for each time that it breaks the rule.
type Offenders<'a> = BTreeMap<&'a str, Vec<(&'a str, usize)>>;

/// One rule with its list.
struct Ratchet<'a> {
    list: &'static str,
    offenders: Offenders<'a>,
    what: fn(&str) -> String,
    remedy: &'static str,
}

/// Checks every name against the lists.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let sources = sources(texts);
    let names = Names::read(&sources);
    let rules = ratchets(&names, &sources);
    rules
        .iter()
        .flat_map(|rule| rule.check(texts.get(Path::new(rule.list)).copied()))
        .collect()
}

/// Takes off the lists what is not there any more; nothing is ever added.
#[expect(
    clippy::disallowed_methods,
    reason = "a list in the clone, under version control"
)]
pub(super) fn shrink(root: &Path, texts: &Texts<'_>) -> Result<()> {
    let sources = sources(texts);
    let names = Names::read(&sources);
    for rule in ratchets(&names, &sources) {
        let listed = texts.get(Path::new(rule.list)).copied().unwrap_or_default();
        let file = root.join(rule.list);
        std::fs::write(&file, rule.shrunk(listed))
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

fn ratchets<'a>(names: &'a Names, sources: &'a [Source<'_>]) -> [Ratchet<'a>; 2] {
    [
        Ratchet {
            list: DUPLICATE_TYPES,
            offenders: duplicate_types(names),
            what: |name| format!("another file defines a type `{name}` too"),
            remedy: "give it a second word that says whose it is",
        },
        Ratchet {
            list: SINGLE_WORDS,
            offenders: single_words(sources),
            what: |name| format!("`{name}` is a `pub` function of one word"),
            remedy: "give it a second word, or take a verb of the table in xtask/src/tidy/names.rs",
        },
    ]
}

fn duplicate_types(names: &Names) -> Offenders<'_> {
    let files = names.files_of_types();
    let mut offenders = Offenders::new();
    for (name, files) in files.into_iter().filter(|(_, files)| files.len() > 1) {
        for file in files {
            let mut types = names.types.iter();
            let found = types.find(|found| found.name == name && found.place.file == file);
            let line = found.map_or(1, |found| found.place.line);
            offenders.entry(name).or_default().push((file, line));
        }
    }
    offenders
}

fn single_words<'a>(sources: &'a [Source<'_>]) -> Offenders<'a> {
    let mut offenders = Offenders::new();
    for source in sources {
        let file = source.file.to_str().unwrap_or_default();
        for (number, line) in (1..).zip(source.text.lines()) {
            let name = public_function(line).filter(|name| function_words(name) == 1);
            if let Some(name) = name.filter(|name| !VERBS.contains(name)) {
                offenders.entry(name).or_default().push((file, number));
            }
        }
    }
    offenders
}

/// The name of a function that is seen outside its module, whatever the visibility.
fn public_function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = match line.strip_prefix("pub ") {
        Some(rest) => rest,
        None => line.strip_prefix("pub(")?.split_once(") ")?.1,
    };
    let mut rest = rest;
    for front in ["const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(front).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|c: char| !(c == '_' || c.is_alphanumeric()));
    Some(&name[..end.unwrap_or(name.len())])
}

impl Ratchet<'_> {
    fn check(&self, listed: Option<&str>) -> Vec<Finding> {
        let list = Path::new(self.list);
        let Some(listed) = listed else {
            let what = "the list of names is missing";
            return vec![Finding::new(list, 1, what, "restore it from the history")];
        };
        let allowed = entries(listed);
        let mut findings = Vec::new();
        for (name, places) in &self.offenders {
            let n_allowed = allowed.get(name).map_or(0, |(_, n_allowed)| *n_allowed);
            if places.len() > n_allowed {
                findings.extend(places.iter().map(|(file, line)| {
                    Finding::new(Path::new(file), *line, (self.what)(name), self.remedy)
                }));
            }
        }
        for (name, (line, n_allowed)) in allowed {
            let n_found = self.offenders.get(name).map_or(0, Vec::len);
            if n_found < n_allowed {
                let what =
                    format!("`{name}` is listed {n_allowed} times and found {n_found} times");
                let remedy = "the list only shrinks: run `cargo xtask tidy --shrink`";
                findings.push(Finding::new(list, line, what, remedy));
            }
        }
        findings
    }

    fn shrunk(&self, listed: &str) -> String {
        let mut text = String::new();
        for (name, (_, n_allowed)) in entries(listed) {
            let n_left = self.offenders.get(name).map_or(0, Vec::len).min(n_allowed);
            if n_left > 0 {
                let _ = writeln!(text, "{name} {n_left}");
            }
        }
        text
    }
}

/// Lines such as `Outcome 5`: each name with its line and how often it may stand.
fn entries(list: &str) -> BTreeMap<&str, (usize, usize)> {
    (1..)
        .zip(list.lines())
        .filter_map(|(line, entry)| {
            let (name, n_allowed) = entry.split_once(' ')?;
            Some((name, (line, n_allowed.parse().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(files: &[(&'a str, &'a str)]) -> Texts<'a> {
        let files = files.iter().copied();
        files.map(|(file, text)| (Path::new(file), text)).collect()
    }

    fn findings(types: &str, words: &str, code: &str) -> Vec<String> {
        let texts = texts(&[
            (DUPLICATE_TYPES, types),
            (SINGLE_WORDS, words),
            ("crates/a/src/lib.rs", code),
            ("crates/b/src/lib.rs", "pub struct Outcome;\n"),
        ]);
        check(&texts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_duplicate_type_is_refused_and_a_listed_one_is_not() {
        let code = "struct Outcome;\n";
        assert_eq!(findings("", "", code).len(), 2);
        assert_eq!(findings("Outcome 2\n", "", code), Vec::<String>::new());
        assert_eq!(
            findings("", "", "struct RunOutcome;\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_pub_function_of_one_word_is_a_listed_verb() {
        for (code, count) in [
            ("pub fn handle() {}\n", 1),
            ("    pub(crate) async fn handle() {}\n", 1),
            ("pub fn open() {}\n", 0),
            ("pub fn handle_request() {}\n", 0),
            ("fn handle() {}\n", 0),
        ] {
            assert_eq!(findings("", "", code).len(), count, "{code}");
        }
        let twice = "pub fn handle() {}\npub fn handle() {}\n";
        assert_eq!(findings("", "handle 2\n", twice), Vec::<String>::new());
        assert_eq!(findings("", "handle 1\n", twice).len(), 2);
    }

    #[test]
    fn lists_only_shrink() {
        let code = "pub fn handle() {}\npub fn other() {}\n";
        let stale = findings("Outcome 2\n", "handle 2\nother 1\n", code);
        assert_eq!(stale.len(), 2);
        assert!(stale.iter().all(|finding| finding.contains("--shrink")));
        let texts = texts(&[("crates/a/src/lib.rs", code)]);
        let sources = sources(&texts);
        let names = Names::read(&sources);
        let [types, words] = ratchets(&names, &sources);
        assert_eq!(types.shrunk("Outcome 2\n"), "");
        assert_eq!(words.shrunk("handle 2\n"), "handle 1\n");
    }

    #[test]
    fn a_missing_list_is_told() {
        assert_eq!(check(&Texts::new()).len(), 2);
    }
}
