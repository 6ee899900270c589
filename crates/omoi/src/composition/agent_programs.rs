//! Finds the agent programs that are installed on this machine for the sandboxes of this process.

use std::ffi::OsString;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentRule;
use omoi_execution::agent_programs::{FindProgram, ProgramLaunch, ProgramUnusable};
use omoi_programs::catalogue::ProgramCatalogue;
use omoi_programs::error::AgentProgramError;
use omoi_programs::options::{ProgramOptions, agent_rules};
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::ReadOnlyMount;

use super::StartOptions;
use super::machine::environment_variable;

/// The programs of a catalogue.
pub(super) struct InstalledPrograms {
    catalogue: ProgramCatalogue,
    /// The program path, to find Node on.
    search_path: OsString,
    rules: Vec<AgentRule>,
}

impl InstalledPrograms {
    /// What a process that starts so can use.
    pub(super) fn open(start: &StartOptions) -> Result<Arc<Self>, AgentProgramError> {
        let options = ProgramOptions::from_config(&start.config);
        Ok(Arc::new(Self {
            catalogue: ProgramCatalogue::open(&options)?,
            search_path: environment_variable(&start.sources, "PATH"),
            rules: agent_rules(&start.config),
        }))
    }
}

impl FindProgram for InstalledPrograms {
    fn agent_rules(&self) -> &[AgentRule] {
        &self.rules
    }

    fn find_program(
        &self,
        agent: AgentProgram,
    ) -> BoxFuture<'_, Result<ProgramLaunch, ProgramUnusable>> {
        let found = async move {
            let prepared = self
                .catalogue
                .prepare_program(agent.as_str(), &self.search_path);
            let launch = prepared.await.map_err(|error| ProgramUnusable {
                agent,
                reason: reason_of(&error),
            })?;
            let mounts = launch.mounts.into_iter().map(|mount| ReadOnlyMount {
                host: mount.host,
                inside: mount.inside,
            });
            Ok(ProgramLaunch {
                command: launch.command,
                version: launch.version,
                mounts: mounts.collect(),
            })
        };
        found.boxed()
    }
}

/// What is wrong, and the command that mends it.
fn reason_of(error: &AgentProgramError) -> String {
    match error.next_step() {
        Some(step) => format!("{}; {step}", error_chain(error)),
        None => error_chain(error),
    }
}
