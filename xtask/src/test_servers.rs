//! `cargo xtask servers`: PostgreSQL and Redis for as long as a command runs.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use xtask::process::{self, command};
use xtask::servers::{Server, postgres, redis};

use crate::{Outcome, setup};

/// Runs `program` with the servers that its tests look for.
pub(crate) fn run(program: &str, arguments: &[String]) -> Result<Outcome> {
    setup::servers()?;
    let servers = TestServers::start()?;
    process::run(servers.announce_to(command(program).args(arguments)))?;
    Ok(Outcome::Done)
}

/// One server of each kind; dropping them ends them.
pub(crate) struct TestServers {
    postgres: Server,
    redis: Server,
}

impl TestServers {
    /// Starts them.
    pub(crate) fn start() -> Result<Self> {
        let began = Instant::now();
        let servers = Self {
            postgres: postgres::start()?,
            redis: redis::start()?,
        };
        eprintln!(
            "PostgreSQL and Redis answer after {:.1} s",
            began.elapsed().as_secs_f64()
        );
        Ok(servers)
    }

    /// Tells `command` where they are.
    pub(crate) fn announce_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env(postgres::URL_VARIABLE, self.postgres.url())
            .env(redis::URL_VARIABLE, self.redis.url())
    }
}
