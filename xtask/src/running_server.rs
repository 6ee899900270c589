//! `omoi up` for as long as a command of this program needs it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How often the address is tried; a start is known no better than this.
pub(crate) const POLL: Duration = Duration::from_millis(1);

/// A running `omoi up`; dropping it ends it.
pub(crate) struct RunningServer {
    process: Child,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// From its start to its first answer.
    pub(crate) answered_after: Duration,
}

impl RunningServer {
    /// Starts `program`, which knows its data folder, and waits until it answers. What it says goes to `log`.
    pub(crate) fn start(mut program: Command, log: &Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        program
            .arg("up")
            .env("SERVER_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?);
        let began = Instant::now();
        let process = program.spawn().context("could not start `omoi up`")?;
        let mut server = Self {
            process,
            address,
            answered_after: Duration::ZERO,
        };
        while !is_healthy(address) {
            let said = || fs::read_to_string(log).unwrap_or_default();
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

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for RunningServer {
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

/// Whether the server answers, and well.
fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        // A server with a public address answers to no other name but the one that it listens at.
        write!(
            stream,
            "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
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

/// Waits a while.
#[expect(
    clippy::disallowed_methods,
    reason = "a start can only be polled, and idleness is a while"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
