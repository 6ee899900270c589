//! The start of a program of the protocol, up to its session.

use std::fs;

use agent_client_protocol::JsonRpcRequest;
use agent_client_protocol::v1::schema::{
    InitializeResponse, McpServer, McpServerStdio, NewSessionRequest, ResumeSessionRequest,
    SessionId, SetSessionModeRequest,
};
use omoi_runtime::telemetry::error_chain;

use super::connection::initialize_request;
use super::start::{PreparingCommand, SessionStart};
use super::{AcpAgent, next_step};
use crate::process::LineProgram;
use crate::program::END_TIME;
use crate::program::driver_steps::NOT_RUNNING;
use crate::runtime::RuntimeError;

impl AcpAgent<'_> {
    /// Runs a program of its own to the end, before the agent starts.
    pub(super) async fn prepare_session(
        &self,
        preparing: &PreparingCommand,
    ) -> Result<(), RuntimeError> {
        let program = LineProgram::start(&preparing.command, &self.host.clock);
        let mut program = program.map_err(|error| self.failed(&error_chain(&error)))?;
        let mut is_done = false;
        while let Ok(Some(line)) = program.next_line().await {
            is_done |= String::from_utf8_lossy(&line).contains(preparing.success);
        }
        let words = program.last_words();
        program.end(END_TIME, self.host.clock.as_ref()).await;
        match is_done {
            true => Ok(()),
            false => Err(self.failed(&format!("its session could not be put back: {words}"))),
        }
    }

    /// Asks the program and waits for its answer.
    pub(super) async fn ask_program<R>(&mut self, request: R) -> Result<R::Response, RuntimeError>
    where
        R: JsonRpcRequest,
    {
        let Some(connection) = &self.connection else {
            return Err(self.failed(NOT_RUNNING));
        };
        let answer = connection.agent_side().send_request(request).block_task();
        tokio::pin!(answer);
        loop {
            let step = tokio::select! {
                answer = &mut answer => return answer.map_err(|error| self.refused(&error)),
                step = next_step(&mut self.program, &mut self.connection) => step,
            };
            self.take_step(step).await?;
        }
    }

    pub(super) async fn open_session(&mut self, start: &SessionStart) -> Result<(), RuntimeError> {
        let about: InitializeResponse = self.ask_program(initialize_request()).await?;
        self.check_version(&about)?;
        let (name, words) = self.host.tool_command();
        let (command, arguments) = words.split_first().map_or_else(Default::default, |words| {
            (words.0.clone(), words.1.to_vec())
        });
        let ours = McpServer::Stdio(McpServerStdio::new(name, command).args(arguments));
        let folder = self.host.workspace.clone();
        let session = match &start.resumed {
            Some(id) => {
                let request = ResumeSessionRequest::new(id.clone(), folder);
                let request = request.mcp_servers(vec![ours]).meta(start.meta.clone());
                self.ask_program(request).await?;
                SessionId::new(id.clone())
            }
            None => {
                let request = NewSessionRequest::new(folder);
                let request = request.mcp_servers(vec![ours]).meta(start.meta.clone());
                self.ask_program(request).await?.session_id
            }
        };
        if let Some(mode) = start.mode {
            let request = SetSessionModeRequest::new(session.clone(), mode);
            self.ask_program(request).await?;
        }
        self.session_file = start.session_file(&session.0);
        self.session = Some(session);
        Ok(())
    }

    /// Refuses a program that is not what was installed.
    pub(super) fn check_version(&self, about: &InitializeResponse) -> Result<(), RuntimeError> {
        match &about.agent_info {
            Some(info) => self.host.check_version(self.name(), &info.version),
            None => Ok(()),
        }
    }

    /// Refuses a repository whose settings the program would follow, whatever it is told.
    pub(super) fn refuse_settings(&self) -> Result<(), RuntimeError> {
        let is_there = |path: &&&str| {
            let path = self.host.workspace.join(path);
            // A folder that is only a mount for protection is empty.
            fs::read_dir(&path).map_or_else(
                |_| path.metadata().is_ok_and(|found| found.len() > 0),
                |mut entries| entries.next().is_some(),
            )
        };
        let program = self.context.agent.program;
        let present = program.followed_settings().iter().filter(is_there);
        match program.settings_refusal(present.copied()) {
            Some(why) => Err(self.failed(&why)),
            None => Ok(()),
        }
    }
}
