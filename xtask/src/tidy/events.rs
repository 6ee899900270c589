//! No event is orphaned: each kind has somebody who writes it, and somebody who acts on it or shows it.
//!
//! Read from the source text, so it proves less than a run does: that a producer is written down, not
//! that it is ever reached.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// The registry of events.
const REGISTRY: &str = "crates/omoi-domain/src/event.rs";
/// Where the registry and the tables of the state machines stand: neither writes an event.
const DOMAIN: &str = "crates/omoi-domain/";
/// The crates that write rows and events, and the rules of life that decide which.
const WRITERS: &[&str] = &[
    "crates/omoi-domain/src/lifecycle/",
    "crates/omoi-store/src/",
    "crates/omoi-execution/src/",
    "crates/omoi-planning/src/",
    "crates/omoi-delivery/src/",
];
/// What people see of a run.
const VIEW: &str = "crates/omoi/src/view";

/// A kind as the registry has it.
struct Kind<'a> {
    line: usize,
    name: &'a str,
    has_consumer: bool,
    /// Whether the command line shows it where it follows a run.
    is_of_run: bool,
    /// Whether it is told to those who ask for live events, or to one of them, without a place in the view.
    is_of_people: bool,
}

/// `from => to: event` of one machine's table.
struct Move<'a> {
    machine: &'a str,
    from: &'a str,
    to: &'a str,
    event: &'a str,
}

/// Checks the registry against the code.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    let registry = Path::new(REGISTRY);
    let finding = |line, what: String, remedy| Finding::new(registry, line, what, remedy);
    let kinds: Vec<Kind<'_>> = files
        .get(registry)
        .map_or_else(Vec::new, |text| kinds(text));
    if kinds.is_empty() {
        let remedy = "tell this rule where the registry of events is";
        return vec![finding(1, "no event is declared here".to_owned(), remedy)];
    }
    let produced = produced(files);
    let shown = shown(files);
    let mut findings = Vec::new();
    for kind in &kinds {
        let Kind { line, name, .. } = *kind;
        if !produced.contains(name) {
            findings.push(finding(
                line,
                format!("nobody writes `{name}`"),
                "write it where it happens, or remove the kind with the moves that name it",
            ));
        }
        let is_seen = kind.is_of_people || (kind.is_of_run && shown.contains(name));
        if !kind.has_consumer && !is_seen {
            findings.push(finding(
                line,
                format!("nobody acts on `{name}` and nobody is shown it"),
                "name a consumer in the registry, or give it a place in the view",
            ));
        }
    }
    findings
}

/// Lines such as `    SpecCreated = "spec.created", SpecChange, Spec, SpecRead, Run, [Planner];`.
fn kinds(registry: &str) -> Vec<Kind<'_>> {
    lines_without_tests(registry)
        .filter_map(|(line, text)| {
            let (name, rest) = text.trim_start().split_once(" = \"")?;
            let (facts, rest) = rest.split_once(", [")?;
            let (consumers, _) = rest.split_once(']')?;
            is_name(name).then_some(Kind {
                line,
                name,
                has_consumer: !consumers.trim().is_empty(),
                is_of_run: facts.ends_with(", Run"),
                is_of_people: facts.ends_with(", People") || facts.ends_with(", User"),
            })
        })
        .collect()
}

/// Kinds that some code of the writers makes: by name, or by a move of a state machine between two
/// states that are both taken somewhere.
fn produced<'a>(files: &Texts<'a>) -> BTreeSet<&'a str> {
    let mut produced = BTreeSet::new();
    let mut states = BTreeSet::new();
    for (file, text) in files {
        let is_writer = WRITERS.iter().any(|folder| file.starts_with(folder));
        if !is_writer || is_test(file) {
            continue;
        }
        let lines: Vec<&str> = lines_without_tests(text).map(|(_, line)| line).collect();
        for (at, line) in lines.iter().enumerate() {
            let next = lines.get(at + 1).copied().unwrap_or_default();
            if is_pattern(line, next) {
                continue;
            }
            for part in line.split("Event::").skip(1) {
                let name = word(part);
                if part[name.len()..].starts_with('(') {
                    produced.insert(name);
                }
            }
            produced.extend(line.split("EventKind::").skip(1).map(word));
            states.extend(paths(line));
        }
    }
    for (file, text) in files {
        if file.starts_with(DOMAIN) && !is_test(file) {
            let taken = |state| states.contains(&state);
            let moves = moves(text).into_iter();
            produced.extend(
                moves
                    .filter(|m| taken((m.machine, m.from)) && taken((m.machine, m.to)))
                    .map(|m| m.event),
            );
        }
    }
    produced
}

/// Whether a line looks at a value rather than making one.
fn is_pattern(line: &str, next: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('|')
        || line.starts_with("//")
        || next.trim_start().starts_with('|')
        || ["=>", "matches!(", "==", "!=", "let Event::"]
            .iter()
            .any(|mark| line.contains(mark))
}

/// Every `Type::Variant` in a line.
fn paths(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("::").filter_map(|(at, _)| {
        let front = &line[..at];
        let begin = front
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| before + 1);
        let (machine, state) = (&front[begin..], word(&line[at + 2..]));
        (is_name(machine) && is_name(state)).then_some((machine, state))
    })
}

/// The rows of the tables that `machine!` declares in a file.
fn moves(text: &str) -> Vec<Move<'_>> {
    let mut moves = Vec::new();
    for declared in text.split("machine! {").skip(1) {
        let Some(table) = declared.split("\n}").next() else {
            continue;
        };
        let Some((head, rest)) = table.split_once("(\"") else {
            continue;
        };
        let Some((machine, rows)) = head
            .split_whitespace()
            .last()
            .zip(rest.split_once("\n    }").map(|(_, rows)| rows))
        else {
            continue;
        };
        for row in rows.split(';') {
            let Some((from, targets)) = row.split_once("=>") else {
                continue;
            };
            moves.extend(targets.split(',').filter_map(|target| {
                let (to, event) = target.split_once(':')?;
                Some(Move {
                    machine,
                    from: from.trim(),
                    to: to.trim(),
                    event: event.trim(),
                })
            }));
        }
    }
    moves
}

/// Kinds that some arm of the view renders. An arm that does nothing shows nothing.
fn shown(files: &Texts<'_>) -> BTreeSet<String> {
    let views = files
        .iter()
        .filter(|(file, _)| is_under_view(file) && !is_test(file));
    let mut shown = BTreeSet::new();
    for (_, text) in views {
        let lines: Vec<&str> = lines_without_tests(text).map(|(_, line)| line).collect();
        shown.extend(rendered_kinds(&lines.join("\n")));
    }
    shown
}

/// The kinds named by the patterns of match arms whose body does something.
fn rendered_kinds(view: &str) -> Vec<String> {
    let mut rendered = Vec::new();
    let mut pattern = Vec::new();
    let mut rest = view;
    while let Some(at) = rest.find("Event::") {
        // An arm between the last name and this one ends the pattern.
        let before = &rest[..at];
        if let Some((_, body)) = before.split_once("=>") {
            if does_something(body) {
                rendered.append(&mut pattern);
            }
            pattern.clear();
        } else if before.contains(['{', ';']) {
            pattern.clear();
        }
        rest = &rest[at + "Event::".len()..];
        pattern.push(word(rest).to_owned());
    }
    if let Some((_, body)) = rest.split_once("=>")
        && does_something(body)
    {
        rendered.append(&mut pattern);
    }
    rendered
}

/// Whether the body of an arm, with whatever follows it, begins with more than a way to do nothing.
fn does_something(body: &str) -> bool {
    let body = body.trim_start();
    !["{}", "()", "None", "return None", "return,", "return;"]
        .iter()
        .any(|nothing| body.starts_with(nothing))
}

fn is_under_view(file: &Path) -> bool {
    file.starts_with(VIEW) || file == Path::new(VIEW).with_extension("rs")
}

/// The name at the start of `text`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && word(text) == text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &str = "    /// Doc.\n    Made = \"made\", A, B, C, Run, [];\n    Moved = \"moved\", A, B, C, Loops, [Planner];\n    \
                         Dead = \"dead\", A, B, C, Run, [Planner];\n    Unseen = \"unseen\", A, B, C, Run, [];\n    \
                         Never = \"never\", A, B, C, Run, [Planner];\n";
    const TABLE: &str = "crate::machine! {\n    /// Doc.\n    TaskStatus (\"task\") {\n        /// A.\n        Open = \"open\",\n    }\n    \
                         Open => Done: Moved, Manual: Dead;\n    Manual => Open: Dead;\n}\n";
    const CODE: &str = "fn f() {\n    tx.emit(Event::Made(change));\n    tx.emit(Event::Unseen(change));\n    match event {\n        \
                        Event::Never(change) => {}\n        Event::Never(change)\n        | Event::Dead(change) => {}\n    }\n    \
                        if from == TaskStatus::Manual {}\n    let row = TaskStatus::Open;\n    transition(tx, TaskStatus::Done);\n}\n";

    #[test]
    fn an_arm_that_does_nothing_shows_nothing() {
        let view = "fn f() { let x: Event::Other; }\nmatch event {\n    Event::A(x) if x.ok => show(x),\n    \
                    Event::B(_) | Event::C(_) => {}\n    Event::D(x)\n    | Event::E(x) => {\n        match x {\n            \
                    Event::F(_) => None,\n            Event::G(_) => Some(1),\n        }\n    }\n    \
                    Event::H(_) => return None,\n    Event::I(_) => { show() }\n}\n";
        assert_eq!(rendered_kinds(view), ["A", "D", "E", "G", "I"]);
    }

    #[test]
    fn orphans_are_found_by_name() {
        let files = Texts::from([
            (Path::new(REGISTRY), KINDS),
            (Path::new("crates/omoi-domain/src/task.rs"), TABLE),
            (Path::new("crates/omoi-store/src/tasks.rs"), CODE),
            (
                Path::new("crates/omoi/src/view/run_view.rs"),
                "match event {\n    Event::Made(x) => 1,\n    Event::Moved(_)\n    | Event::Unseen(_) => return None,\n}",
            ),
        ]);
        let found: Vec<String> = check(&files)
            .iter()
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect();
        assert_eq!(
            found,
            [
                "4: nobody writes `Dead`",
                "5: nobody acts on `Unseen` and nobody is shown it",
                "6: nobody writes `Never`",
            ]
        );
    }
}
