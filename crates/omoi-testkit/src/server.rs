//! The servers that all tests of a run share.

use std::sync::OnceLock;

use anyhow::Result;
use xtask::host;
use xtask::servers::Server;

/// A server that is given by a variable, or else started once and ended with this process.
pub(crate) struct SharedServer {
    variable: &'static str,
    start: fn() -> Result<Server>,
    given: OnceLock<Option<String>>,
    started: OnceLock<Server>,
}

impl SharedServer {
    pub(crate) const fn new(variable: &'static str, start: fn() -> Result<Server>) -> Self {
        Self {
            variable,
            start,
            given: OnceLock::new(),
            started: OnceLock::new(),
        }
    }

    /// Its address.
    ///
    /// # Panics
    /// When there is none and none can be started, with the package to install.
    #[expect(
        clippy::panic,
        reason = "a test that needs the server fails without it"
    )]
    pub(crate) fn url(&self) -> &str {
        match self.given.get_or_init(|| host::variable(self.variable)) {
            Some(url) => url,
            None => self
                .started
                .get_or_init(|| (self.start)().unwrap_or_else(|error| panic!("{error:#}")))
                .url(),
        }
    }
}
