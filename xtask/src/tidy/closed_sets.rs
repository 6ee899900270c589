//! A column whose values are a closed set is an enum in its row, never text.
//!
//! Two signs say that a column holds such a set: the schema lists its values in a `check`, or its name
//! is one that only closed sets have here.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::schema::columns_of;
use super::{Finding, Texts};

/// Where rows mirror them.
const ROWS: &str = "crates/omoi-store/src/";
/// Names of columns that hold a closed set, whatever the table.
const NAMES: &[&str] = &[
    "blocked_by",
    "discovery_type",
    "error_class",
    "event_type",
    "kind",
    "message_type",
    "phase",
    "phase_id",
    "priority",
    "provider",
    "purpose",
    "role",
    "route",
    "rung",
    "sender",
    "stage",
    "state",
    "status",
    "stop_reason",
    "subject",
    "task_type",
    "type",
    "verdict",
];

/// Checks every row of the store against the schema.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    let columns = columns_of(files);
    let listed = columns.iter().filter(|column| column.is_listed);
    let listed: BTreeSet<_> = listed.map(|column| (column.table, column.name)).collect();
    if listed.is_empty() {
        let remedy = "tell this rule where the tables are declared";
        let what = "no column lists its values here".to_owned();
        return vec![Finding::new(Path::new(ROWS), 1, what, remedy)];
    }
    let rows = files
        .iter()
        .filter(|(file, _)| file.starts_with(ROWS) && !is_test(file));
    let mut findings = Vec::new();
    for (file, text) in rows {
        for (line, table, column) in text_columns(text) {
            if listed.contains(&(table, column)) || NAMES.contains(&column) {
                findings.push(Finding::new(
                    file,
                    line,
                    format!("`{table}.{column}` is a closed set held as text"),
                    "give it an enum of `omoi_domain::closed_set!`",
                ));
            }
        }
    }
    findings
}

/// Every field of a row that holds text, with its line and table. Rows are declared as
/// `Name in "table" as "what" {`, one field a line.
fn text_columns(text: &str) -> Vec<(usize, &str, &str)> {
    let mut table = None;
    let mut columns = Vec::new();
    for (number, line) in lines_without_tests(text) {
        let line = line.trim();
        if let Some((_, rest)) = line.split_once(" in \"")
            && line.ends_with('{')
        {
            table = rest.split('"').next();
        } else if line.starts_with('}') {
            table = None;
        }
        let Some(table) = table else { continue };
        let Some((field, kind)) = line.split_once(": ") else {
            continue;
        };
        if matches!(kind.trim_end_matches(','), "String" | "Option<String>") {
            columns.push((number, table, field.trim_start_matches("r#")));
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SCHEMA: &str = "crates/omoi-store/migrations/0001_init.sql";
    const TABLE: &str = "create table checks (\n    id @uuid primary key,\n    \
        colour text not null check (colour in ('red', 'green')),\n    command text not null\n);\n";

    fn findings(row: &str) -> Vec<String> {
        let row = format!("row! {{\n    Check in \"checks\" as \"check\" {{\n{row}\n    }}\n}}\n");
        let files: BTreeMap<_, _> = [
            (Path::new(SCHEMA), TABLE),
            (Path::new("crates/omoi-store/src/checks.rs"), row.as_str()),
        ]
        .into();
        let found = check(&files);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn text_that_holds_a_closed_set_is_found() {
        for (row, expected) in [
            ("        colour: String,", 1),
            ("        colour: Option<String>,", 1),
            ("        colour: Colour,\n        command: String,", 0),
            ("        r#type: String,", 1),
            ("        stage: CheckStage,", 0),
        ] {
            assert_eq!(findings(row).len(), expected, "{row}");
        }
    }

    #[test]
    fn a_schema_that_cannot_be_found_is_told() {
        assert_eq!(check(&BTreeMap::new()).len(), 1);
    }
}
