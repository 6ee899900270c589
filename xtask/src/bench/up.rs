//! What `omoi up` costs: until it answers, and while it has nothing to do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

use super::row::{Amount, Limit, Row, Target, Unit, ratio};
use super::{Bench, median_ms, timed};

const RUNS: usize = 11;
const WARM_UP: usize = 2;
/// Of the runs, those that are also left alone for [`IDLE`].
const IDLE_RUNS: usize = 3;
const IDLE: Duration = Duration::from_secs(2);
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How often the address is tried; a start is known no better than this.
const POLL: Duration = Duration::from_millis(1);

pub(super) fn measure(bench: &Bench, program: &Path) -> Result<Vec<Row>> {
    let (mut versions, mut starts, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + RUNS {
        let version = timed(bench.pristine(program)?.arg("--version"))?;
        let server = Server::start(bench, program, round)?;
        if round >= WARM_UP {
            versions.push(version);
            starts.push(server.answered_after);
        }
        if resident.len() < IDLE_RUNS {
            pause(IDLE);
            resident.push(server.resident_mb()?);
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

/// A running `omoi up`; dropping it ends it.
struct Server {
    process: Child,
    answered_after: Duration,
}

impl Server {
    fn start(bench: &Bench, program: &Path, round: usize) -> Result<Self> {
        let folder = bench.folder(&format!("up-{round}"));
        let log = bench.folder(&format!("up-{round}.log"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut up = bench.pristine(program)?;
        up.arg("up")
            .env("OMOI_DATA_DIR", &folder)
            .env("SERVER_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let began = Instant::now();
        let process = up.spawn().context("could not start `omoi up`")?;
        let mut server = Self {
            process,
            answered_after: Duration::ZERO,
        };
        while !is_healthy(address) {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = server.process.try_wait()? {
                bail!("`omoi up` ended with {status}\n{}", said().trim_end());
            }
            if began.elapsed() > START_TIMEOUT {
                let seconds = START_TIMEOUT.as_secs();
                bail!("no answer within {seconds} s\n{}", said().trim_end());
            }
            pause(POLL);
        }
        server.answered_after = began.elapsed();
        Ok(server)
    }

    /// Memory that is the program's now, in millions of bytes.
    fn resident_mb(&self) -> Result<f64> {
        let own = PathBuf::from(format!("/proc/{}", self.process.id()));
        let mut bytes = resident(&own)?;
        for thread in fs::read_dir(own.join("task"))? {
            let children = fs::read_to_string(thread?.path().join("children"))?;
            for child in children.split_whitespace() {
                bytes += resident(&Path::new("/proc").join(child))?;
            }
        }
        Ok(bytes / 1e6)
    }
}

impl Drop for Server {
    /// As a person would; a server that does not listen is killed when this process waits no longer.
    fn drop(&mut self) {
        let _ = process::run(command("kill").arg(self.process.id().to_string()));
        let asked = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if asked.elapsed() > START_TIMEOUT {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            pause(POLL);
        }
    }
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

/// Whether the server answers, and well.
fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    // Nobody listens yet: not an error, only not yet.
    ask().unwrap_or(false)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not find a port")?;
    Ok(listener.local_addr()?.port())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a start can only be polled, and idleness is a while"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
