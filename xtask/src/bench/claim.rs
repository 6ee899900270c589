//! The part that measures claims of tasks.

use std::path::Path;

use anyhow::Result;

use super::Bench;
use super::parts::Figures;
use super::row::{Amount, Limit, Row, Target, Unit, ratio};

/// How much slower the slowest percent may be with many tasks that wait before it is not flat any more.
const FLAT: f64 = 1.2;

/// How much slower a dispatch may be where many organisations share the deployment.
const MANY_ORGANISATIONS: f64 = 1.5;

/// Clients that claim in one way.
struct ClaimLoop {
    clients: u32,
    /// Begins the key of the figure that the example prints.
    key: &'static str,
    /// The way in words.
    how: &'static str,
    /// The least share of the bare queue's rate that is wanted, if any.
    least: Option<f64>,
}

impl ClaimLoop {
    const fn one_at_a_time(clients: u32, least: Option<f64>) -> Self {
        Self {
            clients,
            key: "one",
            how: "one at a time",
            least,
        }
    }

    const fn in_batches(clients: u32, least: Option<f64>) -> Self {
        Self {
            clients,
            key: "batch",
            how: "16 at once",
            least,
        }
    }
}

const LOOPS: [ClaimLoop; 6] = [
    ClaimLoop::one_at_a_time(1, Some(0.6)),
    ClaimLoop::one_at_a_time(8, Some(0.6)),
    ClaimLoop::one_at_a_time(24, None),
    ClaimLoop::in_batches(1, None),
    ClaimLoop::in_batches(8, None),
    ClaimLoop::in_batches(24, Some(0.8)),
];

/// Rates beside a bare queue, the slowest percent beside many tasks that wait, and the time from ready to
/// claimed.
pub(super) fn measure(_: &Bench, example: &Path) -> Result<Vec<Row>> {
    let figures = Figures::of(example, None)?;
    let mut rows = Vec::new();
    for one in &LOOPS {
        rows.push(claim_rate(&figures, one)?);
    }
    rows.push(slowest_percent(&figures)?);
    for (database, most) in [("postgres", 5.0), ("sqlite", 1.0)] {
        rows.push(ready_to_claimed(&figures, database, most)?);
    }
    rows.push(among_organisations(&figures)?);
    Ok(rows)
}

fn claim_rate(figures: &Figures, one: &ClaimLoop) -> Result<Row> {
    let ClaimLoop {
        clients, key, how, ..
    } = one;
    let ours = figures.get(&format!("{key}_{clients}"))?;
    let bare = figures.get(&format!("bare_{clients}"))?;
    Ok(Row {
        figure: format!("claims, {how}, {clients} clients"),
        ours: Amount(ours, Unit::PerSecond),
        baseline: Some(Amount(bare, Unit::PerSecond)),
        compared: ratio(ours, bare),
        target: one.least.map(|least| Target {
            limit: Limit::Least(least),
            reached: Amount(ours / bare, Unit::Times),
            of: "the bare queue",
        }),
        runs: format!("{}", figures.get("runs")?),
        baseline_is: "`begin`, `select id from tasks … limit 1 for update skip locked`, `update tasks … where id`, \
                      `commit`, prepared, by as many clients on the same table and server"
            .to_owned(),
        measured: "PostgreSQL, a project for each client: `tasks::claim` with attempt, event, fence and slots, commit \
                   included, and a scan of the queue for every 200 claims"
            .to_owned(),
    })
}

fn slowest_percent(figures: &Figures) -> Result<Row> {
    let (ours, baseline) = (figures.get("blocked_p99_ms")?, figures.get("free_p99_ms")?);
    Ok(Row {
        figure: "p99 of a claim with 100,000 blocked tasks".to_owned(),
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: ratio(ours, baseline),
        target: Some(Target {
            limit: Limit::Most(FLAT),
            reached: Amount(ours / baseline, Unit::Times),
            of: "without them",
        }),
        runs: format!("{} claims", figures.get("timed")?),
        baseline_is: format!(
            "the same without tasks that wait; medians: {:.2} ms with them, {:.2} ms without",
            figures.get("blocked_p50_ms")?,
            figures.get("free_p50_ms")?
        ),
        measured: "PostgreSQL, one client: scan for 200 tasks, count of dependents, claim of the first; 400 ready tasks \
                   at the beginning, tables analysed; the others wait for one task of the same spec"
            .to_owned(),
    })
}

fn among_organisations(figures: &Figures) -> Result<Row> {
    let (ours, baseline) = (
        figures.get("among_dispatch_ms")?,
        figures.get("alone_dispatch_ms")?,
    );
    Ok(Row {
        figure: "dispatch with 1,000 organisations, 10 at work".to_owned(),
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: ratio(ours, baseline),
        target: Some(Target {
            limit: Limit::Most(MANY_ORGANISATIONS),
            reached: Amount(ours / baseline, Unit::Times),
            of: "one organisation alone",
        }),
        runs: format!("{} dispatches", figures.get("timed")?),
        baseline_is: "the same with one organisation".to_owned(),
        measured: "PostgreSQL, one client, medians: for each of ten organisations in turn its news, a scan for 200 of \
                   400 ready tasks, count of dependents, claim of the first; without git"
            .to_owned(),
    })
}

fn ready_to_claimed(figures: &Figures, database: &str, most: f64) -> Result<Row> {
    let ours = Amount(
        figures.get(&format!("{database}_ready_ms"))?,
        Unit::Milliseconds,
    );
    Ok(Row {
        figure: format!("ready to claimed on {database}"),
        ours,
        baseline: None,
        compared: "–".to_owned(),
        target: Some(Target {
            limit: Limit::Most(most),
            reached: ours,
            of: "",
        }),
        runs: format!("{} claims", figures.get("timed")?),
        baseline_is: "none".to_owned(),
        measured: "from the commit that merges a prerequisite to the commit of the claim: scan, count of dependents, \
                   claim; without what wakes the dispatcher and without git"
            .to_owned(),
    })
}
