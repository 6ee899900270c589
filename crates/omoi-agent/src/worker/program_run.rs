//! Runs an agent program to the end of its attempt. One that is gone is started anew where nothing is lost by it.

use std::ffi::OsString;
use std::sync::Arc;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::AttemptContext;
use serde_json::json;

use super::{AttemptEnd, AttemptRun, SetUpError};
use crate::acp::{AcpAgent, AcpProgram};
use crate::agent_loop::{AgentLoop, LoopEnd, report_failure};
use crate::attempt_work::AttemptWork;
use crate::claude_code::ClaudeCode;
use crate::codex::Codex;
use crate::program::{ProgramHost, ProgramParts, SetUpProgramError};
use crate::tools::AgentTools;

/// How often a program is started anew in one attempt.
const RESTARTS_MAX: u32 = 3;

/// What a program works with.
pub(super) struct ProgramRun<'a> {
    /// Our tools.
    pub(super) tools: &'a Arc<AgentTools>,
    /// Variables of the attempt's way out.
    pub(super) environment: &'a [(OsString, OsString)],
    /// The work tree, where it is to be committed.
    pub(super) work: &'a mut Option<AttemptWork>,
    /// Turns committed, those of a resumed attempt included.
    pub(super) turns: &'a mut u32,
}

impl AttemptRun<'_> {
    /// Drives the attempt's program. After its process has gone it goes on from the last turn, as a new attempt
    /// would; a new attempt does it where calls of the turn in flight may have changed something.
    pub(super) async fn run_program(&self, run: ProgramRun<'_>) -> Result<AttemptEnd, SetUpError> {
        let mut context = self.context.clone();
        let mut n_restarts = 0;
        loop {
            let mut committed = Vec::new();
            let pass = AgentLoop {
                context: &context,
                platform: self.platform.clone(),
                reporter: self.reporter.clone(),
                inbox: self.inbox.clone(),
                work: run.work.as_mut(),
                turns: run.turns,
                committed: Some(&mut committed),
            };
            let host = self.program_host(&context, run.tools, run.environment);
            let end = self.drive_program(&context, pass, host.await?).await;
            let AttemptEnd::By(LoopEnd::ProgramEnded { message, has_acted }) = end else {
                return Ok(end);
            };
            if !may_restart(committed.len(), has_acted, n_restarts) {
                report_failure(&self.reporter, ErrorClass::AgentError, &message).await;
                return Ok(AttemptEnd::By(LoopEnd::Failed {
                    class: ErrorClass::AgentError,
                    message,
                }));
            }
            n_restarts += 1;
            context.resume.append(&mut committed);
            let data = json!({ "turn": context.resume.len(), "reason": message });
            let line = format!("started its program anew: {message}");
            self.reporter
                .show_event(AgentEventKind::ProgramRestarted, data, &line)
                .await;
        }
    }

    async fn drive_program(
        &self,
        context: &AttemptContext,
        pass: AgentLoop<'_>,
        host: ProgramHost,
    ) -> AttemptEnd {
        let acp = |kind, host| AcpAgent::new(kind, context, host);
        match context.agent.program {
            // Driven by its own loop, before anything of a program is made.
            AgentProgram::Native => AttemptEnd::By(LoopEnd::Failed {
                class: ErrorClass::AgentError,
                message: SetUpProgramError::NotNamed.to_string(),
            }),
            AgentProgram::ClaudeCode => self.drive(pass, ClaudeCode::new(context, host)).await,
            AgentProgram::Codex => self.drive(pass, Codex::new(context, host)).await,
            AgentProgram::AcpOpenCode => self.drive(pass, acp(AcpProgram::OpenCode, host)).await,
            AgentProgram::AcpClaude => self.drive(pass, acp(AcpProgram::ClaudeBridge, host)).await,
            AgentProgram::AcpQwen => self.drive(pass, acp(AcpProgram::Qwen, host)).await,
            AgentProgram::AcpDeclared(_) => self.drive(pass, acp(AcpProgram::Declared, host)).await,
        }
    }

    async fn program_host(
        &self,
        context: &AttemptContext,
        tools: &Arc<AgentTools>,
        environment: &[(OsString, OsString)],
    ) -> Result<ProgramHost, SetUpProgramError> {
        ProgramHost::set_up(ProgramParts {
            context,
            tools,
            reporter: &self.reporter,
            clock: &self.host.clock,
            stop_signal: &self.stop_signal,
            environment: environment.to_vec(),
            worker: &self.host.executable,
            home: &self.host.home,
        })
        .await
    }
}

/// Whether a program that is gone may go on in this attempt: only after turns of its own, so that one that falls
/// over the same thing again ends, and where nothing was done since the last of them.
const fn may_restart(n_committed: usize, has_acted: bool, n_restarts: u32) -> bool {
    n_committed > 0 && !has_acted && n_restarts < RESTARTS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_on_where_it_got_somewhere_and_nothing_is_lost() {
        for (n_committed, has_acted, n_restarts, want) in [
            (1, false, 0, true),
            (1, false, 2, true),
            (0, false, 0, false),
            (1, true, 0, false),
            (1, false, 3, false),
        ] {
            assert_eq!(may_restart(n_committed, has_acted, n_restarts), want);
        }
    }
}
