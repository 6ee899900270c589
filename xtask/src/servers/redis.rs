//! Redis, from the machine's own packages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Plan, Server, Started, start_with_retries};
use crate::host;

/// The Debian package that carries the server.
pub const PACKAGE: &str = "redis-server";
/// The variable that points tests at a running server.
pub const URL_VARIABLE: &str = "OMOI_TEST_REDIS_URL";

/// Starts a server that keeps nothing on disk.
///
/// # Errors
/// Fails with the package to install when the program is missing, and with the server's own words
/// when it does not start.
pub fn start() -> Result<Server> {
    let program = host::find_program("redis-server")
        .with_context(|| format!("Redis is missing: install the package {PACKAGE}"))?;
    let program = program.to_string_lossy();
    start_with_retries("redis", |plan| start_planned(&program, plan))
        .context("could not start Redis")
}

fn start_planned(program: &str, plan: Plan) -> Result<Started> {
    // In a file, because a password on the command line is there for every user to see.
    let config = plan.write(
        "redis.conf",
        &format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            plan.port, plan.password
        ),
    )?;
    let url = format!("redis://:{}@127.0.0.1:{}/", plan.password, plan.port);
    plan.start("TERM", &[program, &config.to_string_lossy()], url, answers)
}

fn answers(plan: &Plan) -> bool {
    let ping = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", plan.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "AUTH {}\r\nPING\r\nQUIT\r\n", plan.password)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("+PONG"))
    };
    ping().unwrap_or(false)
}
