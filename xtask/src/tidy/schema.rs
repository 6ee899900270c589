//! The columns of the database, as the migrations leave them one after the other.
//!
//! Read from the text. What PostgreSQL alone runs is left out: a test compares the two schemas.

use std::path::Path;

use super::Texts;

/// Where migrations lie, in the order of their names.
const MIGRATIONS: &str = "crates/omoi-store/migrations/";

/// A column.
pub(super) struct SchemaColumn<'a> {
    /// The migration that declares it.
    pub(super) file: &'a Path,
    /// Where it does.
    pub(super) line: usize,
    /// Its table.
    pub(super) table: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Whether a check lists its values.
    pub(super) is_listed: bool,
}

/// Every column that the migrations among `files` leave.
pub(super) fn columns_of<'a>(files: &Texts<'a>) -> Vec<SchemaColumn<'a>> {
    let mut columns = Vec::new();
    for (file, text) in files.range(Path::new(MIGRATIONS)..) {
        if !file.starts_with(MIGRATIONS) {
            break;
        }
        for (line, statement) in statements(text) {
            apply(file, line, statement, &mut columns);
        }
    }
    columns
}

/// The statements that SQLite runs, each with the line it begins at.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut is_run) = (Vec::new(), true);
    let mut begun: Option<(usize, usize)> = None;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if let Some(section) = line.strip_prefix("--@ ") {
            is_run = section.trim_end() != "postgres";
        } else if is_run && !line.starts_with("--") && !line.trim().is_empty() {
            let (start, first) = *begun.get_or_insert((at, number));
            if line.trim_end().ends_with(';') {
                found.push((first, &text[start..at + line.len()]));
                begun = None;
            }
        }
        at += line.len();
    }
    found
}

fn apply<'a>(file: &'a Path, line: usize, statement: &'a str, columns: &mut Vec<SchemaColumn<'a>>) {
    let words: Vec<&str> = statement.split_whitespace().take(8).collect();
    let bare = |word: &'a str| word.trim_end_matches([';', ',']);
    match words[..] {
        ["create", "table", table, "(", ..] => {
            columns.retain(|column| column.table != table);
            for (below, declared) in (0..).zip(statement.lines()) {
                let declared = declared
                    .strip_prefix("    ")
                    .filter(|l| !l.starts_with(' '));
                let column = declared.and_then(|d| column_of(file, line + below, table, d));
                columns.extend(column);
            }
        }
        ["alter", "table", table, "add", "column", ..] => {
            let declared = statement.split_once(" add column ").map(|(_, rest)| rest);
            columns.extend(declared.and_then(|d| column_of(file, line, table, d)));
        }
        ["alter", "table", table, "drop", "column", name] => {
            columns.retain(|column| (column.table, column.name) != (table, bare(name)));
        }
        ["alter", "table", table, "rename", "column", old, "to", new] => {
            for column in columns.iter_mut() {
                if (column.table, column.name) == (table, old) {
                    column.name = bare(new);
                }
            }
        }
        ["alter", "table", table, "rename", "to", name] => {
            for column in columns.iter_mut().filter(|column| column.table == table) {
                column.table = bare(name);
            }
        }
        ["drop", "table", table, ..] => columns.retain(|column| column.table != bare(table)),
        _ => {}
    }
}

/// The column that `declared` declares, if it does.
fn column_of<'a>(
    file: &'a Path,
    line: usize,
    table: &'a str,
    declared: &'a str,
) -> Option<SchemaColumn<'a>> {
    let mut words = declared.split_whitespace();
    let (name, kind) = (words.next()?, words.next()?);
    let kind = kind.trim_end_matches([',', ';']);
    // A word with that sign is a type of each database's own.
    let is_column = kind.starts_with('@') || matches!(kind, "text" | "bigint" | "double");
    let check = declared
        .split_once("check (")
        .map_or("", |(_, check)| check);
    is_column.then(|| SchemaColumn {
        file,
        line,
        table,
        name,
        is_listed: check.starts_with(&format!("{name} in ('")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_migrations_change_what_earlier_ones_declared() {
        let first = "-- tasks;\ncreate table tasks (\n    id @uuid primary key,\n    state text check (state in ('a',\n        'b')),\n    old text\n);\n\n\
            create table gone (\n    id @uuid\n);\n";
        let second = "alter table tasks add column kind text not null\n    check (kind in ('x'));\nalter table tasks drop column old;\n\
            --@ postgres\nalter table tasks add column twice text;\n--@ both\ndrop table gone;\nalter table tasks rename column kind to sort;\nalter table tasks rename to jobs;\n";
        let files = Texts::from([
            (
                Path::new("crates/omoi-store/README.md"),
                "create table none (\n    id @uuid\n);\n",
            ),
            (Path::new("crates/omoi-store/migrations/0001_a.sql"), first),
            (Path::new("crates/omoi-store/migrations/0002_b.sql"), second),
            (Path::new("crates/omoi-store/src/a.rs"), ""),
        ]);
        let found: Vec<_> = columns_of(&files)
            .iter()
            .map(|c| (c.line, c.table.to_owned(), c.name.to_owned(), c.is_listed))
            .collect();
        let expected = [(3, "id", false), (4, "state", true), (1, "sort", true)];
        let expected = expected
            .map(|(line, name, is_listed)| (line, "jobs".to_owned(), name.to_owned(), is_listed));
        assert_eq!(found, expected);
    }
}
