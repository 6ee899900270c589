//! Drives Claude Code over its streaming JSON lines.
//!
//! The program asks before each tool by a hook, and its model calls wait for the round before them, so
//! nothing moves while a turn is committed. It stays one process for all turns of an attempt; messages go
//! in when its turn ends.

#[cfg(test)]
mod fuzz;
pub(crate) mod launch;
mod protocol;
mod round_end;
mod rounds;
pub(crate) mod tools;

use std::collections::BTreeSet;
use std::time::Duration;

use omoi_llm::upstream::UpstreamError;
use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolUseBlock, error_of_status};
use omoi_protocol::worker::AttemptContext;
use omoi_runtime::telemetry::error_chain;

use self::launch::plan_start;
use self::protocol::{
    ControlRequest, HookInput, InputLine, MessageLine, OutputLine, ResultLine, SystemLine,
    unread_request,
};
use self::round_end::round_marks;
use self::rounds::{RoundAssembler, RoundStep};
use self::tools::{effect_of, exit_code, platform_name};
use crate::model_call::refused_for_good;
use crate::process::{LineProgram, LineProgramError};
use crate::program::driver_steps::{NOT_RUNNING, program_failed, stop_turn, wait_until_up};
use crate::program::first_message::FirstMessage;
use crate::program::held_calls::RoundCalls;
use crate::program::held_words::HeldWords;
use crate::program::session_file::SessionFile;
use crate::program::tool_observer::ToolEnd;
use crate::program::tool_rules::ToolEffect;
use crate::program::tool_server::SERVER_NAME;
use crate::program::{ProgramHost, write_program_files};
use crate::runtime::{
    AgentRuntime, RuntimeCapabilities, RuntimeEnding, RuntimeError, RuntimeEvent,
};

/// What people call it.
const NAME: &str = "Claude Code";
/// Time in which it must say that it is up.
const START_TIME: Duration = Duration::from_secs(60);
/// Id of the request that sets up the hook.
const INITIALIZE_ID: &str = "initialize";
const INTERRUPT_ID: &str = "interrupt";
/// What comes before the id of a call in the line of its result.
pub(crate) const RESULT_MARK: &str = "\"tool_use_id\":\"";

/// Claude Code at work on one attempt.
pub(crate) struct ClaudeCode<'a> {
    context: &'a AttemptContext,
    host: ProgramHost,
    program: Option<LineProgram>,
    model_calls: RoundCalls,
    session: Option<SessionFile>,
    rounds: RoundAssembler,
    /// Calls of our tools, which their server reports.
    own_calls: BTreeSet<String>,
    held: HeldWords,
    is_turn_running: bool,
    is_ready: bool,
}

impl<'a> ClaudeCode<'a> {
    /// The driver for `context` in the surroundings `host`.
    pub(crate) fn new(context: &'a AttemptContext, host: ProgramHost) -> Self {
        Self {
            context,
            model_calls: RoundCalls::new(host.forwarder.hold_calls()),
            host,
            program: None,
            session: None,
            rounds: RoundAssembler::default(),
            own_calls: BTreeSet::new(),
            held: HeldWords::default(),
            is_turn_running: false,
            is_ready: false,
        }
    }

    async fn write(&mut self, line: &InputLine) -> Result<(), RuntimeError> {
        let program = self.program.as_mut();
        self.host.write_line(NAME, program, line).await
    }

    async fn begin_turn(&mut self, text: &str) -> Result<(), RuntimeError> {
        self.host.note_asked(text.as_bytes());
        self.is_turn_running = true;
        self.write(&InputLine::user_message(text)).await
    }

    /// Reads its next line and does what it asks for.
    async fn take_line(&mut self) -> Result<(), RuntimeError> {
        let Some(program) = &mut self.program else {
            return Err(failed(NOT_RUNNING.to_owned()));
        };
        let next =
            self.model_calls
                .next_line(program, self.rounds.is_open(), self.host.clock.as_ref());
        let line = match next.await {
            Ok(Some(line)) => line,
            Ok(None) => return Err(self.lost(None).await),
            Err(error) => return Err(self.lost(Some(&error)).await),
        };
        let line = match serde_json::from_slice(&line) {
            Ok(line) => line,
            Err(error) => {
                tracing::warn!(%error, "A line of {NAME} cannot be read");
                // It would wait for the answer.
                return match unread_request(&line) {
                    Some(id) => self.write(&InputLine::unknown_request(&id)).await,
                    None => Ok(()),
                };
            }
        };
        self.act_on(&line).await?;
        self.rounds.add_line(&line);
        Ok(())
    }

    async fn act_on(&mut self, line: &OutputLine) -> Result<(), RuntimeError> {
        match line {
            OutputLine::System(news) if news.subtype == "init" => self.check_program(news),
            OutputLine::User(line) => {
                self.report_results(line).await;
                Ok(())
            }
            OutputLine::Result(result) => {
                self.is_turn_running = false;
                let is_refused =
                    !self.rounds.has_whole_answer() && self.host.forwarder.record().has_refusal();
                match result.is_error || is_refused {
                    true => Err(self.turn_failure(result)),
                    false => Ok(()),
                }
            }
            OutputLine::ControlRequest {
                request_id,
                request,
            } => self.answer(request_id, request).await,
            OutputLine::ControlResponse { response } => {
                self.is_ready |= response.request_id == INITIALIZE_ID;
                match &response.error {
                    Some(error) => Err(failed(format!("it refused a request: {error}"))),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Refuses a program that is not what was installed, or that has none of our tools.
    fn check_program(&self, news: &SystemLine) -> Result<(), RuntimeError> {
        if let Some(version) = &news.claude_code_version {
            self.host.check_version(NAME, version)?;
        }
        let ours = news.mcp_servers.iter().find(|s| s.name == SERVER_NAME);
        match ours {
            Some(server) if server.status == "failed" => Err(failed(
                "it could not start the server of our tools".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    async fn answer(
        &mut self,
        request_id: &str,
        request: &ControlRequest,
    ) -> Result<(), RuntimeError> {
        let answer = match request {
            ControlRequest::HookCallback { input } => {
                let verdict = self.judge(input).await;
                InputLine::hook_verdict(request_id, &verdict)
            }
            // The hook has judged; this is asked for what it let through and the program would not.
            ControlRequest::CanUseTool {
                tool_name,
                input,
                tool_use_id,
            } => {
                let call = HookInput {
                    name: tool_name.clone(),
                    input: input.clone(),
                    call_id: tool_use_id.clone(),
                };
                let verdict = self.judge(&call).await;
                InputLine::tool_verdict(request_id, input, &verdict)
            }
            ControlRequest::Other => InputLine::unknown_request(request_id),
        };
        self.write(&answer).await
    }

    /// Whether a tool may run, or why not in words for the model.
    async fn judge(&mut self, input: &HookInput) -> Result<(), String> {
        let id = input.call_id.clone().unwrap_or_default();
        let effect = effect_of(&input.name, &input.input);
        if effect == ToolEffect::Own {
            self.own_calls.insert(id.clone());
        }
        let call = ToolUseBlock {
            id,
            name: platform_name(&input.name).to_owned(),
            input: input.input.clone(),
            extra: Default::default(),
        };
        self.host.observer.begin_call(&call, &effect).await
    }

    async fn report_results(&mut self, line: &MessageLine) {
        for block in line.message.read_blocks() {
            let ContentBlock::ToolResult(result) = block else {
                continue;
            };
            let id = &result.tool_use_id;
            if self.own_calls.remove(id) {
                continue;
            }
            let text = result.content.as_ref().map(MessageContent::joined_text);
            let text = text.unwrap_or_default();
            let is_error = result.is_error == Some(true);
            let end = ToolEnd {
                is_error,
                exit_code: exit_code(is_error, &text),
                text,
            };
            let name = self.rounds.name_of(id).unwrap_or("tool").to_owned();
            self.host.observer.end_call(id, &name, &end).await;
        }
    }

    /// Why the turn failed.
    fn turn_failure(&self, result: &ResultLine) -> RuntimeError {
        if let Some(refusal) = self.host.take_gateway_refusal() {
            return refusal;
        }
        match result.api_error_status {
            Some(status) => {
                let error = UpstreamError::Status {
                    status,
                    kind: error_of_status(status).to_owned(),
                    message: result.problem_text(),
                    retry_after: None,
                    should_retry: false,
                };
                refused_for_good(&error).into()
            }
            None => failed(format!("its turn failed: {}", result.problem_text())),
        }
    }

    /// The program cannot be talked to any more.
    async fn lost(&mut self, error: Option<&LineProgramError>) -> RuntimeError {
        let program = self.program.as_mut();
        self.host.program_lost(NAME, program, error).await
    }
}

impl AgentRuntime for ClaudeCode<'_> {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            is_steered_between_calls: false,
            asks_before_tools: false,
        }
    }

    async fn start(&mut self) -> Result<(), RuntimeError> {
        let plan = plan_start(self.context, &self.host)?;
        write_program_files(&plan.files)
            .map_err(|error| failed(format!("its folder cannot be filled: {error}")))?;
        self.session = Some(plan.session);
        let program = LineProgram::start(&plan.command, &self.host.clock);
        self.program = Some(program.map_err(|error| failed(error_chain(&error)))?);
        let wall_s = self.context.limits.wall_s;
        self.write(&InputLine::initialize_request(INITIALIZE_ID, wall_s))
            .await?;
        let clock = self.host.clock.clone();
        let ready = async {
            while !self.is_ready {
                self.take_line().await?;
            }
            Ok::<_, RuntimeError>(())
        };
        wait_until_up(NAME, clock.as_ref(), START_TIME, ready).await?;
        match plan.first {
            FirstMessage::Text(text) => self.begin_turn(&text).await,
            FirstMessage::GoesOn(held) => {
                self.held.add_words(held);
                self.is_turn_running = true;
                Ok(())
            }
        }
    }

    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        loop {
            match self.rounds.take_step() {
                Some(RoundStep::Answered { reply, stop_reason }) => {
                    return Ok(RuntimeEvent::Answered { reply, stop_reason });
                }
                Some(RoundStep::Ended {
                    reply,
                    results,
                    message_id,
                    is_waiting,
                }) => {
                    let marks = round_marks(&reply, &results, message_id, is_waiting);
                    return self.end_round(reply, results, marks).await;
                }
                None => self.take_line().await?,
            }
        }
    }

    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError> {
        self.held.add_words(answer);
        match self.held.take_message(self.is_turn_running) {
            Some(text) => self.begin_turn(&text).await,
            None => Ok(()),
        }
    }

    async fn interrupt(&mut self) {
        if !self.is_turn_running {
            return;
        }
        let clock = self.host.clock.clone();
        let stopped = async {
            self.write(&InputLine::interrupt_request(INTERRUPT_ID))
                .await?;
            while self.is_turn_running {
                match self.take_line().await {
                    // An interrupted turn is a failed one.
                    Err(RuntimeError::Failed { .. }) => return Ok(()),
                    taken => taken?,
                }
            }
            Ok(())
        };
        stop_turn(NAME, clock.as_ref(), stopped).await;
    }

    async fn end(&mut self, ending: RuntimeEnding) {
        self.host.end_program(self.program.take(), ending).await;
    }
}

/// A failure of the program itself.
fn failed(why: String) -> RuntimeError {
    program_failed(NAME, &why)
}
