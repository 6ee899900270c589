//! The part that measures what the API costs: requests, sign-ins, reports of sandboxes, and how soon people hear of a
//! commit. `cargo xtask bench claim` has the row about dispatch among organisations.

use std::path::Path;

use anyhow::Result;

use super::Bench;
use super::parts::Figures;
use super::row::{Amount, Limit, Row, Target, Unit, ratio};

/// The least share of a bare server's rate that is wanted.
const OF_BARE: f64 = 0.5;
/// The same of bare argon2id.
const OF_HASHING: f64 = 0.8;
/// How far lists may get slower or faster while people sign in, in percent.
const LISTS_MEANWHILE: f64 = 10.0;

const BACKENDS: [&str; 2] = ["postgres", "sqlite"];
/// How a load is put on both servers.
const LOAD: &str = "16 connections that are kept, 5 s after 1 s";

/// Rates beside a bare server and slowest requests, on both databases; frames at sockets.
pub(super) fn measure(bench: &Bench, example: &Path) -> Result<Vec<Row>> {
    let figures = Figures::of(example, Some(&bench.release.join("omoi")))?;
    let mut rows = Vec::new();
    for backend in BACKENDS {
        rows.push(health_rate(&figures, backend)?);
        rows.push(list_rate(&figures, backend)?);
        rows.push(event_rate(&figures, backend)?);
        rows.push(slowest_event(&figures, backend)?);
        rows.push(slowest(
            &figures,
            backend,
            "board",
            ("board of 5,000 tickets", 250.0),
        )?);
        rows.push(slowest(
            &figures,
            backend,
            "million",
            ("50 of 1,000,000 tickets", 100.0),
        )?);
        rows.push(check_cost(&figures, backend)?);
        rows.push(sign_in_rate(&figures, backend)?);
        rows.push(lists_meanwhile(&figures, backend)?);
    }
    rows.extend(frames(&figures)?);
    Ok(rows)
}

/// A rate beside that of the bare server.
fn rate(figures: &Figures, key: &str, least: f64) -> Result<(Amount, Amount, Target)> {
    let ours = figures.get(key)?;
    let bare = figures.get(&format!("{key}_bare"))?;
    let target = Target {
        limit: Limit::Least(least),
        reached: Amount(ours / bare, Unit::Times),
        of: "of bare",
    };
    let per_second = |rate| Amount(rate, Unit::PerSecond);
    Ok((per_second(ours), per_second(bare), target))
}

fn health_rate(figures: &Figures, backend: &str) -> Result<Row> {
    let (ours, bare, target) = rate(figures, &format!("{backend}_health"), OF_BARE)?;
    Ok(Row {
        figure: format!("GET /health, {backend}"),
        ours,
        baseline: Some(bare),
        compared: ratio(ours.0, bare.0),
        target: Some(target),
        runs: LOAD.to_owned(),
        baseline_is: "axum, one route with the same JSON".to_owned(),
        measured: "`omoi up`, with the line that each request leaves in the log's filter"
            .to_owned(),
    })
}

fn list_rate(figures: &Figures, backend: &str) -> Result<Row> {
    let (ours, bare, target) = rate(figures, &format!("{backend}_list"), OF_BARE)?;
    Ok(Row {
        figure: format!("10 of 1,000 tickets, {backend}"),
        ours,
        baseline: Some(bare),
        compared: ratio(ours.0, bare.0),
        target: Some(target),
        runs: LOAD.to_owned(),
        baseline_is: "axum and sqlx, 16 connections, the same four statements and fields, no transaction".to_owned(),
        measured: "GET /api/v1/tickets?project_id=…&limit=10 with a key: its permissions, row security and a signed cursor".to_owned(),
    })
}

fn event_rate(figures: &Figures, backend: &str) -> Result<Row> {
    let (ours, bare, target) = rate(figures, &format!("{backend}_event"), OF_BARE)?;
    Ok(Row {
        figure: format!("1 KB sandbox event, stored, {backend}"),
        ours,
        baseline: Some(bare),
        compared: ratio(ours.0, bare.0),
        target: Some(target),
        runs: LOAD.to_owned(),
        baseline_is: "axum and sqlx: a counter and an insert in one durable transaction".to_owned(),
        measured:
            "reports of 400 attempts in turn: token, lease and limits of each, the event numbered"
                .to_owned(),
    })
}

fn slowest_event(figures: &Figures, backend: &str) -> Result<Row> {
    let ours = Amount(
        figures.get(&format!("{backend}_event_p99_ms"))?,
        Unit::Milliseconds,
    );
    Ok(limited(
        (&format!("p99 of the same, {backend}"), ours, 20.0),
        "the slowest percent of these reports",
    ))
}

fn slowest(
    figures: &Figures,
    backend: &str,
    key: &str,
    (figure, most): (&str, f64),
) -> Result<Row> {
    let ours = figures.get(&format!("{backend}_{key}_p95_ms"))?;
    Ok(limited(
        (
            &format!("{figure}, p95, {backend}"),
            Amount(ours, Unit::Milliseconds),
            most,
        ),
        "one request after the other, for 5 s after 1 s",
    ))
}

/// A figure that its target alone judges.
fn limited((figure, ours, most): (&str, Amount, f64), measured: &str) -> Row {
    Row {
        figure: figure.to_owned(),
        ours,
        baseline: None,
        compared: "–".to_owned(),
        target: Some(Target {
            limit: Limit::Most(most),
            reached: ours,
            of: "",
        }),
        runs: "5 s after 1 s".to_owned(),
        baseline_is: "none: the target alone says what is good".to_owned(),
        measured: measured.to_owned(),
    }
}

fn check_cost(figures: &Figures, backend: &str) -> Result<Row> {
    let ours = figures.get(&format!("{backend}_check_p95_ms"))?;
    Ok(limited(
        (
            &format!("credential and permission check, p95 added, {backend}"),
            Amount(ours, Unit::Milliseconds),
            1.0,
        ),
        "a request that the key's permissions refuse, less GET /health, one after the other",
    ))
}

fn sign_in_rate(figures: &Figures, backend: &str) -> Result<Row> {
    let (ours, bare, target) = rate(figures, &format!("{backend}_sign_in"), OF_HASHING)?;
    Ok(Row {
        figure: format!("sign-in, {backend}"),
        ours,
        baseline: Some(bare),
        compared: ratio(ours.0, bare.0),
        target: Some(target),
        runs: "4 connections, 5 s after 1 s".to_owned(),
        baseline_is: "axum, which compares the password by argon2id on as many threads".to_owned(),
        measured: "POST /api/v1/auth/login, each from another address: limits, session, audit; lists beside it".to_owned(),
    })
}

fn lists_meanwhile(figures: &Figures, backend: &str) -> Result<Row> {
    let quiet = figures.get(&format!("{backend}_list_quiet_p95_ms"))?;
    let busy = figures.get(&format!("{backend}_list_busy_p95_ms"))?;
    let change = (busy - quiet) / quiet * 100.0;
    Ok(Row {
        figure: format!("p95 of lists while people sign in, {backend}"),
        ours: Amount(busy, Unit::Milliseconds),
        baseline: Some(Amount(quiet, Unit::Milliseconds)),
        compared: format!("{change:+.1} %"),
        target: Some(Target {
            limit: Limit::Most(LISTS_MEANWHILE),
            reached: Amount(change, Unit::Percent),
            of: "slower",
        }),
        runs: "1 connection, 5 s after 1 s".to_owned(),
        baseline_is: "the same list while nobody signs in".to_owned(),
        measured: "10 of 1,000 tickets, beside 4 connections that sign in".to_owned(),
    })
}

fn frames(figures: &Figures) -> Result<Vec<Row>> {
    let rows = [
        (
            "commit → frame, 20 sockets, p50, in process",
            "frame_p50_ms",
            1.0,
        ),
        (
            "commit → frame, 20 sockets, p50, by Redis",
            "frame_redis_p50_ms",
            3.0,
        ),
        ("1,000 sockets, 50 events/s, p99", "frame_many_p99_ms", 50.0),
    ];
    let row = |(figure, key, most): (&str, &str, f64)| {
        let ours = Amount(figures.get(key)?, Unit::Milliseconds);
        let mut row = limited(
            (figure, ours, most),
            "from the answer to whoever commits (a comment), which follows the commit, to the frame; one before it counts as 0",
        );
        row.runs = "500 commits, 50 a second".to_owned();
        Ok(row)
    };
    rows.into_iter().map(row).collect()
}
