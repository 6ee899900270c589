//! What `omoi up` costs: until it answers, and while it has nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::running_server::{POLL, RunningServer, pause};

use super::row::{Amount, Limit, Row, Target, Unit, ratio};
use super::{Bench, median_ms, timed};

const RUNS: usize = 11;
const WARM_UP: usize = 2;
/// Of the runs, those that are also left alone for [`IDLE`].
const IDLE_RUNS: usize = 3;
const IDLE: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench, program: &Path) -> Result<Vec<Row>> {
    let (mut versions, mut starts, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + RUNS {
        let version = timed(bench.pristine(program)?.arg("--version"))?;
        let mut up = bench.pristine(program)?;
        up.env("OMOI_DATA_DIR", bench.folder(&format!("up-{round}")));
        let server = RunningServer::start(up, &bench.folder(&format!("up-{round}.log")))?;
        if round >= WARM_UP {
            versions.push(version);
            starts.push(server.answered_after);
        }
        if resident.len() < IDLE_RUNS {
            pause(IDLE);
            resident.push(resident_mb(&server)?);
        }
    }
    resident.sort_by(f64::total_cmp);
    let (start, version) = (median_ms(starts), median_ms(versions));
    let start = Amount(start, Unit::Milliseconds);
    let resident = Amount(resident[IDLE_RUNS / 2], Unit::Megabytes);
    Ok(vec![
        Row {
            figure: "`omoi up` answers".to_owned(),
            ours: start,
            baseline: Some(Amount(version, Unit::Milliseconds)),
            compared: ratio(start.0, version),
            target: Some(Target {
                limit: Limit::Most(300.0),
                reached: start,
                of: "",
            }),
            runs: format!("{RUNS} after {WARM_UP}"),
            baseline_is: "`omoi --version`, start to end".to_owned(),
            measured: format!(
                "start to the first 200 of GET /health, tried every {} ms, new data folder each time",
                POLL.as_millis()
            ),
        },
        Row {
            figure: "`omoi up` resident".to_owned(),
            ours: resident,
            baseline: None,
            compared: "–".to_owned(),
            target: Some(Target {
                limit: Limit::Most(60.0),
                reached: resident,
                of: "",
            }),
            runs: IDLE_RUNS.to_string(),
            baseline_is: "none: the target alone says what is good".to_owned(),
            measured: format!(
                "`VmRSS` of /proc/<pid>/status, with that of child processes, {} s after it answered",
                IDLE.as_secs()
            ),
        },
    ])
}

/// Memory that is the program's now, in millions of bytes.
fn resident_mb(server: &RunningServer) -> Result<f64> {
    let own = PathBuf::from(format!("/proc/{}", server.pid()));
    let mut bytes = resident(&own)?;
    for thread in fs::read_dir(own.join("task"))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            bytes += resident(&Path::new("/proc").join(child))?;
        }
    }
    Ok(bytes / 1e6)
}

fn resident(process: &Path) -> Result<f64> {
    let status = process.join("status");
    let text = fs::read_to_string(&status)
        .with_context(|| format!("could not read {}", status.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    let kibibytes = kibibytes.with_context(|| format!("no VmRSS in {}", status.display()))?;
    Ok(kibibytes * 1_024.0)
}
