//! Rows of the table, and the page that is kept of them.

use std::fs;
use std::path::Path;

use super::expected::HostFeatures;

/// What came of one try on one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbeRow {
    pub(super) rung: String,
    pub(super) name: String,
    pub(super) property: String,
    pub(super) verdict: String,
}

impl ProbeRow {
    pub(super) fn to_line(&self) -> String {
        let Self {
            rung,
            name,
            property,
            verdict,
        } = self;
        format!("row\t{rung}\t{name}\t{property}\t{verdict}")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("row\t")?.split('\t').map(str::to_owned);
        Some(Self {
            rung: words.next()?,
            name: words.next()?,
            property: words.next()?,
            verdict: words.next()?,
        })
    }
}

fn render_table(rows: &[ProbeRow], host: &HostFeatures) -> String {
    let mut rungs: Vec<&str> = Vec::new();
    let mut tries: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !rungs.contains(&row.rung.as_str()) {
            rungs.push(&row.rung);
        }
        if !tries.contains(&(&row.name, &row.property)) {
            tries.push((&row.name, &row.property));
        }
    }
    rungs.sort_unstable();
    let mut table = TABLE_HEAD.replace("HOST", &host.to_string());
    table += &format!(
        "| A program inside tries to | attacks | {} |\n",
        rungs.join(" | ")
    );
    table += &format!("| --- | --- |{}\n", " --- |".repeat(rungs.len()));
    for (name, property) in tries {
        let verdicts: Vec<&str> = rungs
            .iter()
            .map(|rung| {
                let found = rows
                    .iter()
                    .find(|row| row.rung == *rung && row.name == name);
                found.map_or("not tried", |row| row.verdict.as_str())
            })
            .collect();
        table += &format!("| {name} | {property} | {} |\n", verdicts.join(" | "));
    }
    table
}

/// Begins the part of the page that another test writes.
const WAY_HEADING: &str = "\n## The way out\n";

/// Holds the part of the kept page that these tests write against `rows`, where it was taken on such a host.
pub(super) fn check_page(rows: &[ProbeRow], host: &HostFeatures) {
    let page = include_str!("../../../../../docs/escape-table.md");
    let (kept, rest) = page.split_at(page.find(WAY_HEADING).unwrap_or(page.len()));
    let table = render_table(rows, host);
    let taken_on = format!("Taken on {host}.");
    // Another host may hold more or less: what its features lead to expect was asked for of each property.
    if kept.contains(&taken_on) && kept != table {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("escape-table.md");
        fs::write(&fresh, table + rest).unwrap();
        panic!(
            "the table changed: cp {} docs/escape-table.md",
            fresh.display()
        );
    }
}

const TABLE_HEAD: &str = "\
# Escape table

What a hostile program tries inside a sandbox, by rung and by who started the platform. Written by the test
`escape_table` of `omoi-sandbox`, which fails when a try gets anywhere against a property that the rung says it holds.

- *held*: the rung holds the property, and the try got nowhere.
- *watched*: the watcher holds it, which ends a sandbox that goes beyond; tried in the tests of limits. Where an
  ordinary user started the platform it does not see what a process holds whose program that user may not read, nor
  memory that programs of their own space share by a number and have not mapped.
- *not promised*: the rung says that it does not hold the property here, and why: `omoi sandbox probe`.

Lines that begin with CONTROL must work. What each rung is to hold follows from a host's features
(`tests/sandbox/escape/expected.rs`). Taken on HOST.

";
