//! Every column of the database is read by somebody: what is stored and never read is either a
//! promise nobody keeps or data nobody misses.
//!
//! Read from the source text. A column counts as read when a field of its name is read anywhere, or
//! when a statement names it in another place than the list of an insert or the left side of an
//! assignment. Two tables that share a name answer for each other.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::schema::columns_of;
use super::{Finding, Texts};

/// Where statements are written.
const STATEMENTS: &str = "crates/omoi-store/src/";
/// Columns that wait for their reader, with who that will be. `docs/decisions/parts-kept-for-the-api.md`
/// lists them too.
const WAITING: &[(&str, &str)] = &[];

/// Checks the columns against every source file.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    check_with(files, WAITING)
}

fn check_with(files: &Texts<'_>, waiting: &[(&str, &str)]) -> Vec<Finding> {
    let columns = columns_of(files);
    if columns.is_empty() {
        let remedy = "tell this rule where the tables are declared";
        let what = "no table is declared here".to_owned();
        return vec![Finding::new(Path::new(STATEMENTS), 1, what, remedy)];
    }
    let read = names_read(files);
    let is_waiting = |name: &str| waiting.iter().any(|(column, _)| *column == name);
    let mut findings = Vec::new();
    for column in columns {
        let name = format!("{}.{}", column.table, column.name);
        let finding = |what: String, remedy| Finding::new(column.file, column.line, what, remedy);
        match (read.contains(column.name), is_waiting(&name)) {
            (false, false) => findings.push(finding(
                format!("nobody reads `{name}`"),
                "read it where it matters, or remove it with what writes it",
            )),
            (true, true) => findings.push(finding(
                format!("`{name}` is read now"),
                "take it off the list of columns that wait for a reader",
            )),
            _ => {}
        }
    }
    findings
}

/// Every name that some code reads as a field, or some statement as a column.
fn names_read<'a>(files: &Texts<'a>) -> BTreeSet<&'a str> {
    let mut read = BTreeSet::new();
    for (file, text) in files {
        if file.extension().is_none_or(|kind| kind != "rs") || is_test(file) {
            continue;
        }
        let end = lines_without_tests(text)
            .map(|(_, line)| line.as_ptr() as usize + line.len() - text.as_ptr() as usize)
            .last();
        let code = &text[..end.unwrap_or(0)];
        read.extend(fields_read(code));
        if file.starts_with(STATEMENTS) {
            for literal in literals(code) {
                read.extend(columns_read(literal));
            }
        }
    }
    read
}

/// Names after a dot that are neither called nor assigned to, and names taken out of a struct.
fn fields_read(code: &str) -> Vec<&str> {
    let mut read = Vec::new();
    for (at, _) in code.match_indices('.') {
        let name = word(&code[at + 1..]);
        let rest = code[at + 1 + name.len()..].trim_start();
        let is_written = (rest.starts_with("= ") && !rest.starts_with("=="))
            || rest.starts_with(".clone_from(")
            || rest.starts_with("+= ");
        if !name.is_empty() && !rest.starts_with('(') && !is_written {
            read.push(name);
        }
    }
    for line in code.lines().filter(|line| line.contains(".. }")) {
        read.extend(words(line));
    }
    read
}

/// Names in a statement but for those it only writes.
fn columns_read(literal: &str) -> Vec<&str> {
    let mut read = Vec::new();
    let mut rest = literal;
    if let Some((front, list)) = rest.split_once("insert into ") {
        read.extend(words(front));
        rest = list.split_once(')').map_or("", |(_, after)| after);
    }
    while let Some((front, assignments)) = rest.split_once(" set ") {
        read.extend(words(front));
        let end = ["where ", "returning "]
            .iter()
            .filter_map(|word| assignments.find(word))
            .min();
        let (assigned, after) = assignments.split_at(end.unwrap_or(assignments.len()));
        for assignment in assigned.split(',') {
            if let Some((_, value)) = assignment.split_once('=') {
                read.extend(words(value));
            }
        }
        rest = after;
    }
    read.extend(words(rest));
    read
}

/// The string literals of `code` that hold more than one word.
fn literals(code: &str) -> Vec<&str> {
    let mut literals = Vec::new();
    for line_or_more in code.split("\n\n") {
        let mut rest = line_or_more;
        while let Some((_, begun)) = rest.split_once('"') {
            let Some((literal, after)) = begun.split_once('"') else {
                break;
            };
            if literal.contains(' ') {
                literals.push(literal);
            }
            rest = after;
        }
    }
    literals
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_of_name(c))
        .filter(|word| !word.is_empty())
}

/// The name at the start of `text`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !is_of_name(c)).unwrap_or(text.len());
    &text[..end]
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "crates/omoi-store/migrations/0001_init.sql";
    const TABLE: &str = "create table tasks (\n    id @uuid primary key,\n    title text not null check (title in ('a',\n        'b')),\n    \
                         score double precision,\n    lost @time not null,\n    inserted text,\n    updated text,\n    waits text,\n    \
                         primary key (id)\n);\n";
    const STORE: &str = "const A: &str = \"update tasks set updated = $2, lost = inserted_at where id = $1\";\n\n\
                         const B: &str = \"insert into tasks (id, inserted, title) values ($1, $2, $3)\";\n\n\
                         fn f(task: &mut Task) { task.lost = 1; task.updated.clone_from(x); task.inserted(); }\n";

    fn found(code: &str) -> Vec<String> {
        let files = Texts::from([
            (Path::new(SCHEMA), TABLE),
            (Path::new("crates/omoi-store/src/tasks.rs"), STORE),
            (Path::new("crates/a/src/lib.rs"), code),
        ]);
        check_with(&files, &[("tasks.waits", "the next issue")])
            .iter()
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect()
    }

    #[test]
    fn a_column_that_is_only_written_is_found() {
        assert_eq!(
            found("let Task { title, .. } = task;\nif task.score == 1.0 {}"),
            [
                "6: nobody reads `tasks.lost`",
                "7: nobody reads `tasks.inserted`",
                "8: nobody reads `tasks.updated`",
            ]
        );
        assert_eq!(
            found(
                "let Task { title, .. } = task;\nf(task.score, task.lost, task.inserted, task.updated)\n#[cfg(test)]\nmod tests {\ntask.waits\n}"
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            found("f(task.title, task.score, task.lost, task.inserted, task.updated, task.waits)"),
            ["9: `tasks.waits` is read now"]
        );
    }
}
