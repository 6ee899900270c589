//! Steps that every driver takes: waiting until its program is up, writing to it, stopping a turn, telling how it
//! was lost, and the end of a round.

use std::time::Duration;

use omoi_domain::retry::ErrorClass;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::SessionPart;
use omoi_runtime::clock::{Clock, with_deadline};
use omoi_runtime::telemetry::error_chain;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::ProgramHost;
use super::session_file::{RoundMarks, SessionFile};
use crate::model_call::refused_for_good;
use crate::process::{CommandEnd, LineProgram, LineProgramError};
use crate::runtime::{AgentTurn, RuntimeError, RuntimeEvent};
use crate::transcript::AgentReply;

/// Time in which a program must have stopped its turn.
pub(crate) const INTERRUPT_TIME: Duration = Duration::from_millis(300);
/// What is said of a program that was not started, or has ended.
pub(crate) const NOT_RUNNING: &str = "it is not running";

/// A failure of the program `name` itself.
pub(crate) fn program_failed(name: &str, why: &str) -> RuntimeError {
    RuntimeError::Failed {
        class: ErrorClass::AgentError,
        message: format!("{name}: {why}"),
    }
}

/// Waits until the program `name` is up.
pub(crate) async fn wait_until_up(
    name: &str,
    clock: &dyn Clock,
    time: Duration,
    opened: impl Future<Output = Result<(), RuntimeError>>,
) -> Result<(), RuntimeError> {
    match with_deadline(clock, time, opened).await {
        Ok(opened) => opened,
        Err(_) => {
            let why = format!("it was not up after {} s", time.as_secs());
            Err(program_failed(name, &why))
        }
    }
}

/// Waits until the program `name` has stopped its turn. One that does not is ended with the attempt.
pub(crate) async fn stop_turn(
    name: &str,
    clock: &dyn Clock,
    stopped: impl Future<Output = Result<(), RuntimeError>>,
) {
    match with_deadline(clock, INTERRUPT_TIME, stopped).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(error = %error_chain(&error), "{name} was interrupted");
        }
        Err(_) => tracing::info!("{name} did not stop its turn"),
    }
}

/// A round of a program that has ended.
pub(crate) struct EndedRound {
    /// The answer.
    pub(crate) reply: AgentReply,
    /// Tool results, one per call in order.
    pub(crate) results: Vec<ContentBlock>,
    /// Whether files of the workspace may have changed.
    pub(crate) may_have_changed: bool,
    /// Whether the model waits for words of ours.
    pub(crate) is_waiting: bool,
    /// What was added to the program's own session.
    pub(crate) session: Option<SessionPart>,
}

impl ProgramHost {
    /// Notes what the round that begins answers, for its digest.
    pub(crate) fn note_asked(&mut self, asked: &[u8]) {
        self.asked = asked.to_vec();
    }

    /// The turn that is committed for `round`; what it answers is what the next one is asked.
    pub(crate) fn end_round(&mut self, round: EndedRound) -> Result<AgentTurn, RuntimeError> {
        let decisions = self.tool_server.take_decisions();
        self.observer.end_round();
        let request_digest = hex::encode(Sha256::digest(&self.asked));
        self.asked = serde_json::to_vec(&round.results)?;
        Ok(AgentTurn {
            reply: round.reply,
            results: round.results,
            request_digest,
            request_tokens: None,
            is_accepted: decisions.is_accepted,
            gives_up: decisions.gives_up,
            asks: decisions.asks,
            may_have_changed: round.may_have_changed,
            is_waiting: round.is_waiting,
            session: round.session,
        })
    }

    /// The end of a round whose answer is told only now.
    pub(crate) fn end_untold_round(
        &mut self,
        round: EndedRound,
    ) -> Result<[RuntimeEvent; 2], RuntimeError> {
        let answered = RuntimeEvent::Answered {
            reply: round.reply.clone(),
            stop_reason: None,
        };
        Ok([answered, RuntimeEvent::TurnEnded(self.end_round(round)?)])
    }

    /// What was added to the session of the program `name`, up to the round that `marks` find.
    pub(crate) async fn session_part(
        &self,
        name: &str,
        session: &mut SessionFile,
        marks: &RoundMarks,
    ) -> Result<Option<SessionPart>, RuntimeError> {
        let added = session.take_added(marks, self.clock.as_ref()).await;
        added.map_err(|error| program_failed(name, &format!("its session file: {error}")))
    }

    /// Refuses the program `name`, which says that it is `version`, where another one was installed.
    pub(crate) fn check_version(&self, name: &str, version: &str) -> Result<(), RuntimeError> {
        let expected = &self.installed.version;
        if version == expected {
            return Ok(());
        }
        let why = format!("it says it is version {version}, but {expected} was installed");
        Err(program_failed(name, &why))
    }

    /// Why the gateway refused the program's last call, if it did. It counts more than what the program says.
    pub(crate) fn take_gateway_refusal(&self) -> Option<RuntimeError> {
        let refusal = self.forwarder.record().take_refusal()?;
        Some(refused_for_good(&refusal.into_error()).into())
    }

    /// Writes a line to the program `name`.
    pub(crate) async fn write_line(
        &self,
        name: &str,
        program: Option<&mut LineProgram>,
        line: &impl Serialize,
    ) -> Result<(), RuntimeError> {
        let Some(program) = program else {
            return Err(program_failed(name, NOT_RUNNING));
        };
        match program.write_line(line, self.clock.as_ref()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.program_lost(name, Some(program), Some(&error)).await),
        }
    }

    /// Why the program `name` cannot be talked to any more: how it ended, and its last words.
    pub(crate) async fn program_lost(
        &self,
        name: &str,
        program: Option<&mut LineProgram>,
        error: Option<&LineProgramError>,
    ) -> RuntimeError {
        let Some(program) = program else {
            return program_failed(name, NOT_RUNNING);
        };
        let end = program.wait_end(self.clock.as_ref()).await;
        let why = match (error, end) {
            (Some(error), None) => error_chain(error),
            (_, end) => end_words(end),
        };
        let words = program.last_words();
        let message = match words.is_empty() {
            true => format!("{name}: {why}"),
            false => format!("{name}: {why}; its last words: {words}"),
        };
        RuntimeError::ProgramEnded {
            message,
            has_acted: self.observer.has_acted() || self.tool_server.has_run_call(),
        }
    }
}

/// How a program ended that had work to do, in words for people.
fn end_words(end: Option<CommandEnd>) -> String {
    match end {
        Some(CommandEnd::Exited(code)) => {
            format!("it ended in the middle of its work, with exit code {code}")
        }
        Some(CommandEnd::Signalled(9)) => {
            "it was killed by SIGKILL, which the system sends where memory runs out".to_owned()
        }
        Some(CommandEnd::Signalled(signal)) => format!("it crashed: {}", signal_name(signal)),
        Some(CommandEnd::TimedOut) | None => {
            "it closed its output in the middle of its work".to_owned()
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        signal => return format!("signal {signal}"),
    };
    format!("{name} (signal {signal})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_it_ended_is_named() {
        for (end, want) in [
            (Some(CommandEnd::Exited(3)), "with exit code 3"),
            (Some(CommandEnd::Signalled(9)), "SIGKILL"),
            (Some(CommandEnd::Signalled(11)), "SIGSEGV (signal 11)"),
            (Some(CommandEnd::Signalled(31)), "signal 31"),
            (None, "closed its output"),
        ] {
            assert!(end_words(end).contains(want), "{end:?}");
        }
    }
}
