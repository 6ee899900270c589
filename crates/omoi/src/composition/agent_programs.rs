//! Finds the agent programs that are installed on this machine for the sandboxes of this process.

use std::ffi::OsString;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentRule;
use omoi_execution::agent_programs::{DeclaredLaunch, FindProgram, ProgramLaunch, ProgramUnusable};
use omoi_programs::catalogue::ProgramCatalogue;
use omoi_programs::declared_agents::folder_inside;
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
            let unusable = |error: AgentProgramError| ProgramUnusable {
                agent,
                reason: reason_of(&error),
            };
            let row = match agent {
                AgentProgram::AcpDeclared(name) => {
                    let row = self.catalogue.declared.find_agent(name);
                    Some(row.map_err(unusable)?)
                }
                _ => None,
            };
            let path = &self.search_path;
            let prepared = match row {
                Some(row) => self.catalogue.prepare_declared(row, path).await,
                None => self.catalogue.prepare_program(agent.as_str(), path).await,
            };
            let launch = prepared.map_err(unusable)?;
            let mounts = launch.mounts.into_iter().map(|mount| ReadOnlyMount {
                host: mount.host,
                inside: mount.inside,
            });
            Ok(ProgramLaunch {
                command: launch.command,
                version: launch.version,
                mounts: mounts.collect(),
                declared: row.map(|row| DeclaredLaunch {
                    row: row.clone(),
                    folder: folder_inside(row),
                }),
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
