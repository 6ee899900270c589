//! Checks as tests run them: one command in a clean checkout, without files of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use omoi_domain::egress::EgressMode;
use omoi_execution::command::{self, CheckoutCommand, CommandError, CommandRun};
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_git::object::ObjectId;
use omoi_testkit::deployment::TestDeployment;

/// Time that a test's check may take, a set-up by a real package manager before it not included.
const TIMEOUT: Duration = Duration::from_mins(2);

/// One check.
pub(crate) struct CheckAt<'a> {
    pub(crate) commit: &'a ObjectId,
    pub(crate) command: &'a str,
    pub(crate) toolbox: &'a SandboxToolchain,
    /// How far a set-up of the commit reaches.
    pub(crate) setup_mode: EgressMode,
}

impl CheckAt<'_> {
    pub(crate) async fn try_run(self, it: &TestDeployment) -> Result<CommandRun, CommandError> {
        let command = CheckoutCommand {
            spec: &it.spec,
            commit: self.commit,
            command: self.command,
            files: &BTreeMap::new(),
            timeout: TIMEOUT,
            toolbox: self.toolbox,
            setup_mode: self.setup_mode,
        };
        command::run_in_checkout(&it.build_part(), command).await
    }

    pub(crate) async fn run(self, it: &TestDeployment) -> CommandRun {
        self.try_run(it).await.unwrap()
    }
}
