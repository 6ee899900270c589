//! The rows of the way out in the table of escapes.

use std::fs;
use std::path::Path;

use omoi_domain::sandbox::SandboxRung;

use crate::rung::{Rung, as_a_user, is_root};
use crate::way::{MissingWall, WayOut};

/// One try on one rung.
#[derive(Clone)]
struct WayRow {
    rung: String,
    wall: String,
    name: String,
}

impl WayRow {
    fn to_line(&self) -> String {
        let Self { rung, wall, name } = self;
        format!("row\t{rung}\t{wall}\t{name}")
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("row\t")?.split('\t').map(str::to_owned);
        Some(Self {
            rung: words.next()?,
            wall: words.next()?,
            name: words.next()?,
        })
    }
}

/// Makes every try on `rung`; none may get anywhere.
async fn try_rung(rung: SandboxRung) -> Vec<WayRow> {
    let found = Rung::find(rung).await;
    let way = WayOut::open(found.dir.path(), MissingWall::None).await;
    let printed = way.try_probes(&found, &[]).await;
    let started_as = if is_root() { "root" } else { "a user" };
    let rung = format!("{rung}, {started_as}");
    let escaped: Vec<_> = printed
        .lines()
        .filter(|l| l.contains("\tESCAPED\t"))
        .collect();
    assert!(escaped.is_empty(), "{rung}: {escaped:#?}");
    let row = |line: &str| {
        let [wall, "held", name, _] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        WayRow {
            rung: rung.clone(),
            wall: wall.to_owned(),
            name: name.to_owned(),
        }
    };
    printed.lines().map(row).collect()
}

/// Every try on every rung, as root and as an ordinary user; the table is kept for readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_out_by_the_way() {
    let mut rows = Vec::new();
    for rung in [
        SandboxRung::Bubblewrap,
        SandboxRung::Container,
        SandboxRung::Landlock,
    ] {
        rows.extend(try_rung(rung).await);
    }
    for row in &rows {
        println!("{}", row.to_line());
    }
    if !is_root() {
        return;
    }
    let printed = as_a_user("table::nothing_gets_out_by_the_way");
    rows.extend(printed.lines().filter_map(WayRow::from_line));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/escape-table.md");
    let page = fs::read_to_string(page).unwrap();
    let (before, kept) = page.split_once(HEADING).unwrap_or((&page, ""));
    let table = render_section(&rows);
    if kept != table {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("escape-table-way.md");
        fs::write(&fresh, format!("{before}{HEADING}{table}")).unwrap();
        panic!(
            "the table changed: cp {} docs/escape-table.md",
            fresh.display()
        );
    }
}

fn render_section(rows: &[WayRow]) -> String {
    let mut rungs: Vec<&str> = rows.iter().map(|row| row.rung.as_str()).collect();
    rungs.sort_unstable();
    rungs.dedup();
    let first = rungs[0];
    let mut table = INTRODUCTION.to_owned();
    table += &format!(
        "| By the way out, a program inside tries to | wall | {} |\n",
        rungs.join(" | ")
    );
    table += &format!("| --- | --- |{}\n", " --- |".repeat(rungs.len()));
    for WayRow { wall, name, .. } in rows.iter().filter(|row| row.rung == first) {
        let on = |rung: &&str| {
            rows.iter()
                .any(|row| row.rung == **rung && row.name == *name)
        };
        let held = rungs
            .iter()
            .map(|rung| if on(rung) { "held" } else { "not tried" });
        let held: Vec<_> = held.collect();
        table += &format!("| {name} | {wall} | {} |\n", held.join(" | "));
    }
    table
}

const HEADING: &str = "\n## The way out\n";
const INTRODUCTION: &str = "
A sandbox has one way out, the platform's socket, which leads to a proxy where its attempt may reach anything. Written by the
test `nothing_gets_out_by_the_way` of `omoi`. Each try gets somewhere once its wall is gone
(`each_wall_of_the_way_taken_away_turns_its_rows_red`).

";
