//! Drives Codex over its app-server protocol.
//!
//! The program asks before each command and patch, the server of our tools holds its calls, and its model
//! calls wait for the round before them, so that nothing moves while a turn is committed, and our tools run
//! in the order of the answer. What was answered stands in its session file. It stays one process for all turns of an attempt; messages go in when its
//! turn ends.

mod call_order;
#[cfg(test)]
mod fuzz;
mod judge;
mod launch;
mod protocol;
mod reading;
mod rollout;
mod rounds;
mod search_words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{AttemptContext, SessionPart};
use omoi_runtime::clock::with_deadline;
use omoi_runtime::telemetry::error_chain;
use serde_json::{Value, json};

use self::call_order::CallOrder;
use self::launch::plan_start;
use self::protocol::{
    AppServerInput, AppServerLine, ProgramLine, ProgramTurn, ResponseError, ToolServerState,
    version_of_agent,
};
use crate::process::{LineProgram, LineProgramError};
use crate::program::driver_steps::{NOT_RUNNING, program_failed, stop_turn, wait_until_up};
use crate::program::first_message::FirstMessage;
use crate::program::held_calls::RoundCalls;
use crate::program::held_words::HeldWords;
use crate::program::session_file::{SessionFile, SessionPosition};
use crate::program::tool_server::SERVER_NAME;
use crate::program::{ProgramHost, write_program_files};
use crate::runtime::{
    AgentRuntime, RuntimeCapabilities, RuntimeEnding, RuntimeError, RuntimeEvent,
};

/// What people call it.
const NAME: &str = "Codex";
/// Time in which it must say that it is up.
const START_TIME: Duration = Duration::from_secs(60);
/// How long a call of ours waits for those before it: one that the program refuses by itself never ends.
const ORDER_TIME: Duration = Duration::from_secs(12);
const INITIALIZE_ID: u64 = 1;
const THREAD_ID: u64 = 2;

/// Codex at work on one attempt.
pub(crate) struct Codex<'a> {
    context: &'a AttemptContext,
    host: ProgramHost,
    program: Option<LineProgram>,
    model_calls: RoundCalls,
    session: Option<SessionFile>,
    /// How much of its session the platform has at the start.
    kept: SessionPosition,
    /// Set once it is up.
    is_initialized: bool,
    thread_id: Option<String>,
    /// Id of the last request of ours.
    request_id: u64,
    /// Id of the request that began the turn, and of the turn.
    turn_request: u64,
    turn_id: Option<String>,
    is_turn_running: bool,
    is_stopping: bool,
    calls: CallOrder,
    /// Since when calls wait and none was let go.
    held_since: Option<Timestamp>,
    /// Paths of the patches under way.
    patches: BTreeMap<String, Vec<String>>,
    refusals: BTreeMap<String, String>,
    failed_calls: BTreeSet<String>,
    /// What was added to the session for the round under way.
    part: Option<SessionPart>,
    steps: VecDeque<RuntimeEvent>,
    held: HeldWords,
}

impl<'a> Codex<'a> {
    /// The driver for `context` in the surroundings `host`.
    pub(crate) fn new(context: &'a AttemptContext, host: ProgramHost) -> Self {
        Self {
            context,
            model_calls: RoundCalls::new(host.forwarder.hold_calls()),
            host,
            program: None,
            session: None,
            kept: SessionPosition::default(),
            is_initialized: false,
            thread_id: None,
            request_id: THREAD_ID,
            turn_request: 0,
            turn_id: None,
            is_turn_running: false,
            is_stopping: false,
            calls: CallOrder::default(),
            held_since: None,
            patches: BTreeMap::new(),
            refusals: BTreeMap::new(),
            failed_calls: BTreeSet::new(),
            part: None,
            steps: VecDeque::new(),
            held: HeldWords::default(),
        }
    }

    async fn write(&mut self, line: &AppServerInput) -> Result<(), RuntimeError> {
        let program = self.program.as_mut();
        self.host.write_line(NAME, program, line).await
    }

    async fn request(&mut self, method: &str, params: &Value) -> Result<u64, RuntimeError> {
        self.request_id += 1;
        let id = self.request_id;
        self.write(&AppServerInput::new_request(id, method, params))
            .await?;
        Ok(id)
    }

    /// Begins a turn with a message, or without one where the session ends within a turn.
    async fn begin_turn(&mut self, text: Option<&str>) -> Result<(), RuntimeError> {
        self.host.note_asked(text.unwrap_or_default().as_bytes());
        self.is_turn_running = true;
        self.turn_id = None;
        let input: Vec<_> = text
            .map(|text| json!({"type": "text", "text": text}))
            .into_iter()
            .collect();
        let params = json!({"threadId": self.thread_id, "input": input});
        self.turn_request = self.request("turn/start", &params).await?;
        Ok(())
    }

    /// Reads its next line and does what it asks for; lets a call go that has waited too long.
    async fn take_line(&mut self) -> Result<(), RuntimeError> {
        let clock = self.host.clock.clone();
        let Some(program) = &mut self.program else {
            return Err(failed(NOT_RUNNING.to_owned()));
        };
        let is_open = self.calls.is_round_open();
        let next = self.model_calls.next_line(program, is_open, clock.as_ref());
        let line = match self.held_since {
            None => next.await,
            Some(since) => {
                let left = ORDER_TIME.saturating_sub(clock.now().since(since));
                match with_deadline(clock.as_ref(), left, next).await {
                    Ok(line) => line,
                    Err(_) => return self.release_first().await,
                }
            }
        };
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => return Err(self.lost(None).await),
            Err(error) => return Err(self.lost(Some(&error)).await),
        };
        match serde_json::from_slice::<AppServerLine>(&line) {
            Ok(line) => self.act_on(line.read()).await,
            Err(error) => {
                tracing::warn!(%error, "A line of {NAME} cannot be read");
                Ok(())
            }
        }
    }

    async fn act_on(&mut self, line: ProgramLine) -> Result<(), RuntimeError> {
        match line {
            ProgramLine::Response { id, result } => self.take_response(id, result),
            ProgramLine::Request(id, request) => self.take_request(id, request).await,
            ProgramLine::Item(news) => self.follow_item(news).await,
            ProgramLine::RoundEnded { turn_id } if self.is_current(&turn_id) => {
                self.end_round().await
            }
            ProgramLine::TurnEnded(turn) if self.is_current(&turn.id) => self.end_turn(&turn).await,
            ProgramLine::ToolServerState(state) => check_server(&state),
            _ => Ok(()),
        }
    }

    fn is_current(&self, turn_id: &str) -> bool {
        self.is_turn_running && self.turn_id.as_deref() == Some(turn_id)
    }

    fn take_response(
        &mut self,
        id: u64,
        result: Result<Value, ResponseError>,
    ) -> Result<(), RuntimeError> {
        let result = match result {
            Ok(result) => result,
            // The turn that was to be stopped has just ended.
            Err(_) if self.is_stopping => return Ok(()),
            Err(error) => {
                return Err(failed(format!("it refused a request: {}", error.message)));
            }
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if id == INITIALIZE_ID {
            self.check_version(result["userAgent"].as_str().unwrap_or_default())?;
            self.is_initialized = true;
        } else if id == THREAD_ID {
            let thread = &result["thread"];
            let (Some(id), Some(path)) = (text(&thread["id"]), text(&thread["path"])) else {
                return Err(failed("it names no session file".to_owned()));
            };
            let session = SessionFile::new(id.clone(), PathBuf::from(path), self.kept);
            self.session = Some(session);
            self.thread_id = Some(id);
        } else if id == self.turn_request {
            self.turn_id = text(&result["turn"]["id"]);
        }
        Ok(())
    }

    /// Refuses a program that is not what was installed.
    fn check_version(&self, user_agent: &str) -> Result<(), RuntimeError> {
        match version_of_agent(user_agent) {
            Some(version) => self.host.check_version(NAME, version),
            None => Ok(()),
        }
    }

    /// Why the turn failed.
    fn turn_failure(&self, turn: &ProgramTurn) -> RuntimeError {
        let refusal = self.host.take_gateway_refusal();
        refusal.unwrap_or_else(|| failed(format!("its turn failed: {}", turn.problem_text())))
    }

    /// The program cannot be talked to any more.
    async fn lost(&mut self, error: Option<&LineProgramError>) -> RuntimeError {
        let program = self.program.as_mut();
        self.host.program_lost(NAME, program, error).await
    }

    /// Opens its thread.
    async fn open_thread(&mut self, method: &str, params: &Value) -> Result<(), RuntimeError> {
        let client =
            json!({"clientInfo": {"name": SERVER_NAME, "version": env!("CARGO_PKG_VERSION")}});
        self.write(&AppServerInput::new_request(
            INITIALIZE_ID,
            "initialize",
            &client,
        ))
        .await?;
        while !self.is_initialized {
            self.take_line().await?;
        }
        self.write(&AppServerInput::initialized_notice()).await?;
        self.write(&AppServerInput::new_request(THREAD_ID, method, params))
            .await?;
        while self.thread_id.is_none() {
            self.take_line().await?;
        }
        Ok(())
    }
}

impl AgentRuntime for Codex<'_> {
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
        self.kept = plan.kept;
        self.host.tool_server.hold_calls();
        let program = LineProgram::start(&plan.command, &self.host.clock);
        self.program = Some(program.map_err(|error| failed(error_chain(&error)))?);
        let clock = self.host.clock.clone();
        let (method, params) = plan.thread;
        let opened = self.open_thread(method, &params);
        wait_until_up(NAME, clock.as_ref(), START_TIME, opened).await?;
        match plan.first {
            FirstMessage::Text(text) => self.begin_turn(Some(&text)).await,
            FirstMessage::GoesOn(held) => {
                self.held.add_words(held);
                self.begin_turn(None).await
            }
        }
    }

    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        loop {
            match self.steps.pop_front() {
                Some(step) => return Ok(step),
                None => self.take_line().await?,
            }
        }
    }

    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError> {
        self.held.add_words(answer);
        match self.held.take_message(self.is_turn_running) {
            Some(text) => self.begin_turn(Some(&text)).await,
            None => Ok(()),
        }
    }

    async fn interrupt(&mut self) {
        let Some(turn_id) = self.turn_id.clone().filter(|_| self.is_turn_running) else {
            return;
        };
        self.is_stopping = true;
        let clock = self.host.clock.clone();
        let params = json!({"threadId": self.thread_id, "turnId": turn_id});
        let stopped = async {
            self.request("turn/interrupt", &params).await?;
            while self.is_turn_running {
                self.take_line().await?;
            }
            Ok(())
        };
        stop_turn(NAME, clock.as_ref(), stopped).await;
    }

    async fn end(&mut self, ending: RuntimeEnding) {
        self.host.end_program(self.program.take(), ending).await;
    }
}

/// Refuses a program that has none of our tools.
fn check_server(state: &ToolServerState) -> Result<(), RuntimeError> {
    if state.name != SERVER_NAME || state.status != "failed" {
        return Ok(());
    }
    let why = state.error.as_deref().unwrap_or("it did not say why");
    Err(failed(format!(
        "it could not start the server of our tools: {why}"
    )))
}

/// A failure of the program itself.
fn failed(why: String) -> RuntimeError {
    program_failed(NAME, &why)
}
