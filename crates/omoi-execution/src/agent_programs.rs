//! Where the agent programs are that workers drive. How they are installed is not known here.

use std::path::PathBuf;

use futures::future::BoxFuture;
use omoi_domain::agent_program::AgentProgram;
use omoi_sandbox::ReadOnlyMount;

/// How a worker starts an agent program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramLaunch {
    /// The executable and what comes before the arguments of its driver, as paths inside.
    pub command: Vec<PathBuf>,
    /// The version that is installed.
    pub version: String,
    /// What the sandbox must be shown.
    pub mounts: Vec<ReadOnlyMount>,
}

/// An agent program that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the agent `{agent}` cannot be used: {reason}")]
pub struct ProgramUnusable {
    /// What was asked for.
    pub agent: AgentProgram,
    /// What is missing, with the next step.
    pub reason: String,
}

/// Finds the agent programs of this machine.
pub trait FindProgram: Send + Sync {
    /// How `agent` is started.
    fn find_program(
        &self,
        agent: AgentProgram,
    ) -> BoxFuture<'_, Result<ProgramLaunch, ProgramUnusable>>;
}

/// Programs of which this version has a driver.
const DRIVEN: [AgentProgram; 1] = [AgentProgram::ClaudeCode];

/// How `agent` is started; none for our own loop, which is part of the worker.
///
/// # Errors
/// [`ProgramUnusable`] where it is not installed, or nothing drives it.
pub async fn launch_of(
    programs: &dyn FindProgram,
    agent: AgentProgram,
) -> Result<Option<ProgramLaunch>, ProgramUnusable> {
    if agent.is_native() {
        return Ok(None);
    }
    if !DRIVEN.contains(&agent) {
        let names = DRIVEN.map(AgentProgram::as_str).join(", ");
        let reason = format!("nothing drives it yet; choose native or one of {names}");
        return Err(ProgramUnusable { agent, reason });
    }
    programs.find_program(agent).await.map(Some)
}
