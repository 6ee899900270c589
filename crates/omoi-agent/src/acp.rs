//! Drives a program that speaks the Agent Client Protocol.
//!
//! The program asks before each call, and each of its model calls waits: the next one says that the calls
//! of the answer before it have run, so nothing moves while a turn is committed. It stays one process for
//! all turns of an attempt; messages go in when its turn ends.

mod claude_bridge;
mod connection;
mod declared;
mod effect;
#[cfg(test)]
mod fuzz;
mod judge;
mod opencode;
mod opencode_session;
mod qwen;
mod round;
mod start;
mod startup;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use agent_client_protocol::Error as AcpError;
use agent_client_protocol::v1::schema::{CancelNotification, SessionId};
use omoi_domain::time::Timestamp;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::AttemptContext;
use omoi_runtime::clock::with_deadline;
use omoi_runtime::telemetry::error_chain;
use serde_json::value::RawValue;
use tokio::sync::mpsc::UnboundedReceiver;

use self::connection::{AcpConnection, AcpNews, ConnectionStep, PermissionQuestion};
use self::round::AcpRound;
pub(crate) use self::start::AcpProgram;
use self::start::{AcpManners, plan_start};
use crate::process::{LineProgram, LineProgramError};
use crate::program::driver_steps::{program_failed, stop_turn, wait_until_up};
use crate::program::first_message::FirstMessage;
use crate::program::held_calls::{ModelCallNews, WaitingModelCall};
use crate::program::held_words::HeldWords;
use crate::program::session_file::SessionFile;
use crate::program::{ProgramHost, write_program_files};
use crate::runtime::{
    AgentRuntime, RuntimeCapabilities, RuntimeEnding, RuntimeError, RuntimeEvent,
};
use crate::transcript::text_of_blocks;

/// Time in which it must say that it is up.
const START_TIME: Duration = Duration::from_secs(90);
/// How long a model call waits for calls that have not ended: one beside the work is not held up.
const OPEN_CALLS_TIME: Duration = Duration::from_secs(1);
/// How long a question waits for the arguments of its call.
const ARGUMENTS_TIME: Duration = Duration::from_secs(1);
/// Time in which it must end its turn after the gateway has refused its call: some ask for ever.
const REFUSAL_TIME: Duration = Duration::from_secs(3);

/// A program of the protocol at work on one attempt.
pub(crate) struct AcpAgent<'a> {
    kind: AcpProgram,
    context: &'a AttemptContext,
    host: ProgramHost,
    program: Option<LineProgram>,
    connection: Option<AcpConnection>,
    model_calls: UnboundedReceiver<ModelCallNews>,
    session: Option<SessionId>,
    session_file: Option<SessionFile>,
    manners: AcpManners,
    round: AcpRound,
    /// Model calls that wait for the commit of the round.
    held_calls: Vec<WaitingModelCall>,
    /// Since when they wait for calls that have not ended.
    held_since: Option<Timestamp>,
    /// Since when the gateway's refusal stands.
    refused_since: Option<Timestamp>,
    /// Questions that wait: for arguments, or for the call of ours before them.
    questions: VecDeque<WaitingQuestion>,
    /// Verdicts of the round, by call.
    verdicts: BTreeMap<String, Result<(), String>>,
    /// The call of ours that runs.
    own_call: Option<String>,
    steps: VecDeque<RuntimeEvent>,
    held: HeldWords,
    is_turn_running: bool,
    is_stopping: bool,
}

/// A question that was not answered yet.
struct WaitingQuestion {
    question: PermissionQuestion,
    since: Timestamp,
}

/// What the driver does next.
enum DriverStep {
    Line(Result<Option<Vec<u8>>, LineProgramError>),
    Connection(Option<ConnectionStep>),
    ModelCall(Option<ModelCallNews>),
    TimeIsUp,
}

impl<'a> AcpAgent<'a> {
    /// The driver of `kind` for `context` in the surroundings `host`.
    pub(crate) fn new(kind: AcpProgram, context: &'a AttemptContext, host: ProgramHost) -> Self {
        Self {
            kind,
            context,
            model_calls: host.forwarder.hold_calls(),
            host,
            program: None,
            connection: None,
            session: None,
            session_file: None,
            manners: AcpManners::default(),
            round: AcpRound::default(),
            held_calls: Vec::new(),
            held_since: None,
            refused_since: None,
            questions: VecDeque::new(),
            verdicts: BTreeMap::new(),
            own_call: None,
            steps: VecDeque::new(),
            held: HeldWords::default(),
            is_turn_running: false,
            is_stopping: false,
        }
    }

    /// What people call it.
    fn name(&self) -> &'a str {
        self.context.agent.program.as_str()
    }

    /// A failure of the program itself.
    fn failed(&self, why: &str) -> RuntimeError {
        program_failed(self.name(), why)
    }

    fn refused(&self, error: &AcpError) -> RuntimeError {
        self.failed(&format!("it refused a request: {}", error.message))
    }

    /// The program cannot be talked to any more.
    async fn lost(&mut self, error: Option<&LineProgramError>) -> RuntimeError {
        let name = self.name();
        let program = self.program.as_mut();
        self.host.program_lost(name, program, error).await
    }

    /// Waits for what comes next and deals with it.
    async fn advance(&mut self) -> Result<(), RuntimeError> {
        let clock = self.host.clock.clone();
        let waits = self
            .questions
            .front()
            .map(|waiting| (waiting.since, ARGUMENTS_TIME));
        let deadlines = [
            self.held_since.map(|since| (since, OPEN_CALLS_TIME)),
            self.refused_since.map(|since| (since, REFUSAL_TIME)),
            waits.filter(|_| self.own_call.is_none()),
        ];
        let now = clock.now();
        let left = deadlines.into_iter().flatten();
        let left = left.map(|(since, time)| time.saturating_sub(now.since(since)));
        let left = left.min();
        let next = async {
            tokio::select! {
                step = next_step(&mut self.program, &mut self.connection) => step,
                news = self.model_calls.recv() => DriverStep::ModelCall(news),
            }
        };
        let step = match left {
            None => next.await,
            Some(left) => with_deadline(clock.as_ref(), left, next)
                .await
                .unwrap_or(DriverStep::TimeIsUp),
        };
        self.take_step(step).await
    }

    async fn take_step(&mut self, step: DriverStep) -> Result<(), RuntimeError> {
        match step {
            DriverStep::Line(Ok(Some(line))) => {
                let line = String::from_utf8_lossy(&line);
                // Some say more than the protocol on the same stream.
                if let (Some(connection), true) = (&self.connection, line.starts_with('{')) {
                    connection.take_line(line.trim_end().to_owned());
                }
                Ok(())
            }
            DriverStep::Line(Ok(None)) => Err(self.lost(None).await),
            DriverStep::Line(Err(error)) => Err(self.lost(Some(&error)).await),
            DriverStep::Connection(Some(ConnectionStep::Line(line))) => self.write(line).await,
            DriverStep::Connection(Some(ConnectionStep::News(news))) => self.take_news(*news).await,
            DriverStep::Connection(None) => Err(self.failed("it broke the protocol")),
            DriverStep::ModelCall(Some(ModelCallNews::Held(call))) => {
                self.held_calls.push(call);
                let now = self.host.clock.now();
                self.held_since.get_or_insert(now);
                self.end_round_before_calls().await
            }
            DriverStep::ModelCall(Some(ModelCallNews::Refused)) => {
                let now = self.host.clock.now();
                self.refused_since.get_or_insert(now);
                Ok(())
            }
            DriverStep::ModelCall(None) => Err(self.failed("its way to the model is closed")),
            DriverStep::TimeIsUp => self.act_on_time().await,
        }
    }

    async fn write(&mut self, line: String) -> Result<(), RuntimeError> {
        let Ok(line) = RawValue::from_string(line) else {
            return Err(self.failed("a line for it is no JSON"));
        };
        let (name, program) = (self.name(), self.program.as_mut());
        self.host.write_line(name, program, &line).await
    }

    async fn take_news(&mut self, news: AcpNews) -> Result<(), RuntimeError> {
        match news {
            AcpNews::Update(update) if self.is_turn_running => self.follow_update(*update).await,
            AcpNews::Update(_) => {}
            AcpNews::Permission(question) => self.add_question(*question).await,
            AcpNews::TurnEnded(result) => return self.end_turn(result).await,
        }
        self.end_round_before_calls().await
    }
}

/// What the program or the connection has; for ever, where neither is there. Cancel-safe.
async fn next_step(
    program: &mut Option<LineProgram>,
    connection: &mut Option<AcpConnection>,
) -> DriverStep {
    let (Some(program), Some(connection)) = (program, connection) else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        step = connection.next_step() => DriverStep::Connection(step),
        line = program.next_line() => DriverStep::Line(line),
    }
}

impl AgentRuntime for AcpAgent<'_> {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            is_steered_between_calls: false,
            asks_before_tools: false,
        }
    }

    async fn start(&mut self) -> Result<(), RuntimeError> {
        let start = plan_start(self.kind, self.context, &self.host)?;
        self.manners = start.manners;
        self.refuse_settings()?;
        write_program_files(&start.files)
            .and_then(|()| start.link_files())
            .map_err(|error| self.failed(&format!("its folder cannot be filled: {error}")))?;
        let (name, clock) = (self.name(), self.host.clock.clone());
        let opened = async {
            if let Some(preparing) = &start.preparing {
                self.prepare_session(preparing).await?;
            }
            let program = LineProgram::start(&start.command, &self.host.clock);
            self.program = Some(program.map_err(|error| self.failed(&error_chain(&error)))?);
            self.connection = AcpConnection::open(&mut self.host).await;
            self.open_session(&start.session).await
        };
        wait_until_up(name, clock.as_ref(), START_TIME, opened).await?;
        match start.first {
            FirstMessage::Text(text) => self.begin_turn(&text),
            // There is no turn without a message.
            FirstMessage::GoesOn(held) if held.is_empty() => self.begin_turn(GO_ON),
            FirstMessage::GoesOn(held) => self.begin_turn(&text_of_blocks(&held)),
        }
    }

    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        loop {
            match self.steps.pop_front() {
                Some(step) => return Ok(step),
                None => self.advance().await?,
            }
        }
    }

    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError> {
        self.held.add_words(answer);
        self.release_calls();
        match self.held.take_message(self.is_turn_running) {
            Some(text) => self.begin_turn(&text),
            None => Ok(()),
        }
    }

    async fn interrupt(&mut self) {
        let Some(session) = self.session.clone().filter(|_| self.is_turn_running) else {
            return;
        };
        self.is_stopping = true;
        let (name, clock) = (self.name(), self.host.clock.clone());
        let stopped = async {
            self.cancel_questions();
            if let Some(connection) = &self.connection {
                let cancel = CancelNotification::new(session);
                let sent = connection.agent_side().send_notification(cancel);
                sent.map_err(|error| self.refused(&error))?;
            }
            while self.is_turn_running {
                self.advance().await?;
            }
            Ok(())
        };
        stop_turn(name, clock.as_ref(), stopped).await;
    }

    async fn end(&mut self, ending: RuntimeEnding) {
        self.host.end_program(self.program.take(), ending).await;
    }
}

/// What it is told where its session ends within a turn.
const GO_ON: &str = "Go on with the task from where it stands.";
