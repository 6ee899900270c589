//! `cargo xtask servers`: servers and agent programs of the tests for as long as a command runs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use xtask::agents;
use xtask::process::{self, command};
use xtask::servers::{Server, mail, openid, postgres, redis};
use xtask::test_folder::{self, TestFolder};

use crate::{Outcome, setup};

/// Which servers a run of tests needs, and whether it runs agent programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeededServers {
    pub(crate) postgres: bool,
    pub(crate) redis: bool,
    /// The mail server.
    pub(crate) mail: bool,
    /// The OpenID provider.
    pub(crate) openid: bool,
    /// The modules of the TypeScript client.
    pub(crate) web: bool,
    /// The browser.
    pub(crate) browser: bool,
    /// The agent programs.
    pub(crate) agents: bool,
}

impl NeededServers {
    /// None of them.
    pub(crate) const NONE: Self = Self {
        postgres: false,
        redis: false,
        mail: false,
        openid: false,
        web: false,
        browser: false,
        agents: false,
    };

    /// Each of them.
    pub(crate) const ALL: Self = Self {
        postgres: true,
        redis: true,
        mail: true,
        openid: true,
        web: true,
        browser: true,
        agents: true,
    };
}

/// Runs `program` with the servers that its tests look for.
pub(crate) fn run(program: &str, arguments: &[String]) -> Result<Outcome> {
    setup::servers(NeededServers::ALL)?;
    let servers = TestServers::start(NeededServers::ALL)?;
    process::run(servers.announce_to(command(program).args(arguments)))?;
    Ok(Outcome::Done)
}

/// Servers that answer; dropping them ends them.
pub(crate) struct TestServers {
    postgres: Option<Server>,
    redis: Option<Server>,
    mail: Option<Server>,
    openid: Option<Server>,
    agents: Option<PathBuf>,
    folder: TestFolder,
}

impl TestServers {
    /// Starts those that are needed.
    pub(crate) fn start(needed: NeededServers) -> Result<Self> {
        let began = Instant::now();
        let servers = Self {
            postgres: needed.postgres.then(postgres::start).transpose()?,
            redis: needed.redis.then(redis::start).transpose()?,
            mail: needed.mail.then(mail::start).transpose()?,
            openid: needed.openid.then(openid::start).transpose()?,
            agents: needed.agents.then(agents::folder).transpose()?,
            folder: TestFolder::create()?,
        };
        if needed.postgres || needed.redis || needed.mail || needed.openid {
            let seconds = began.elapsed().as_secs_f64();
            eprintln!("the servers of the tests answer after {seconds:.1} s");
        }
        Ok(servers)
    }

    /// Where the OpenID provider is, where it runs.
    pub(crate) fn openid_url(&self) -> Option<&str> {
        self.openid.as_ref().map(Server::url)
    }

    /// Tells `command` where they are.
    pub(crate) fn announce_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (variable, server) in [
            (postgres::URL_VARIABLE, &self.postgres),
            (redis::URL_VARIABLE, &self.redis),
            (mail::URL_VARIABLE, &self.mail),
            (openid::URL_VARIABLE, &self.openid),
        ] {
            if let Some(server) = server {
                command.env(variable, server.url());
            }
        }
        if let Some(agents) = &self.agents {
            command.env(agents::FOLDER_VARIABLE, agents);
        }
        command.env(test_folder::VARIABLE, self.folder.path())
    }
}
