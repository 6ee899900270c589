//! The turns of a program of the protocol, and the rounds in them.

use agent_client_protocol::Error as AcpError;
use agent_client_protocol::v1::schema::{PromptRequest, PromptResponse, SessionUpdate};
use omoi_domain::time::Timestamp;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::SessionPart;

use super::effect::may_change;
use super::round::RoundCall;
use super::{ARGUMENTS_TIME, AcpAgent, GO_ON, OPEN_CALLS_TIME, REFUSAL_TIME};
use crate::program::driver_steps::{EndedRound, NOT_RUNNING};
use crate::program::held_calls::WaitingModelCall;
use crate::program::session_file::RoundMarks;
use crate::runtime::RuntimeError;

impl AcpAgent<'_> {
    pub(super) fn begin_turn(&mut self, text: &str) -> Result<(), RuntimeError> {
        self.host.note_asked(text.as_bytes());
        self.is_turn_running = true;
        let (Some(connection), Some(session)) = (&self.connection, &self.session) else {
            return Err(self.failed(NOT_RUNNING));
        };
        let prompt = PromptRequest::new(session.clone(), vec![text.into()]);
        let begun = connection.begin_turn(prompt);
        begun.map_err(|error| self.refused(&error))
    }

    pub(super) async fn follow_update(&mut self, update: SessionUpdate) {
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => self.round.add_words(&chunk.content),
            SessionUpdate::ToolCall(call) => {
                // What it says that the call is may be wrong.
                if self.manners.acts_unasked {
                    self.host.observer.note_act();
                }
                self.round.add_call(call);
                self.answer_questions(false).await;
            }
            SessionUpdate::ToolCallUpdate(update) => {
                if let Some(ended) = self.round.update_call(update) {
                    self.report_end(&ended).await;
                }
                self.answer_questions(false).await;
            }
            _ => {}
        }
    }

    /// Ends the round whose calls have run, where the program asks the model again.
    pub(super) async fn end_round_before_calls(&mut self) -> Result<(), RuntimeError> {
        if self.held_calls.is_empty() || self.round.has_open_calls() || !self.steps.is_empty() {
            return Ok(());
        }
        self.held_since = None;
        match self.round.is_empty() {
            // The first call of a turn.
            true => {
                self.release_calls();
                Ok(())
            }
            false => self.push_round(false).await,
        }
    }

    pub(super) fn release_calls(&mut self) {
        self.held_since = None;
        self.held_calls
            .drain(..)
            .for_each(WaitingModelCall::release);
    }

    /// A time is up: a call beside the work goes, a program that was refused has had its time.
    pub(super) async fn act_on_time(&mut self) -> Result<(), RuntimeError> {
        let now = self.host.clock.now();
        let is_over = |since: Option<Timestamp>, time| since.is_some_and(|s| now.since(s) >= time);
        if is_over(self.refused_since, REFUSAL_TIME) {
            self.refused_since = None;
            if let Some(refusal) = self.host.take_gateway_refusal() {
                return Err(refusal);
            }
        }
        if is_over(self.held_since, OPEN_CALLS_TIME) {
            self.release_calls();
        }
        let asked = self.questions.front().map(|waiting| waiting.since);
        self.answer_questions(is_over(asked, ARGUMENTS_TIME)).await;
        Ok(())
    }

    pub(super) async fn end_turn(
        &mut self,
        result: Result<PromptResponse, AcpError>,
    ) -> Result<(), RuntimeError> {
        self.is_turn_running = false;
        self.refused_since = None;
        if self.is_stopping {
            return Ok(());
        }
        if let Some(refusal) = self.host.take_gateway_refusal() {
            return Err(refusal);
        }
        match result {
            Ok(_) => {
                let refusals = self
                    .verdicts
                    .values()
                    .filter_map(|verdict| verdict.as_ref().err());
                let refusals: Vec<_> = refusals.map(String::as_str).collect();
                if !self.manners.stops_at_refusal || refusals.is_empty() {
                    return self.push_round(true).await;
                }
                // The model did not hear of it, and goes on once it has.
                let words = format!("A call was not allowed: {}. {GO_ON}", refusals.join("; "));
                self.held.add_words(vec![ContentBlock::text(words)]);
                self.push_round(false).await
            }
            Err(error) => Err(self.failed(&format!("its turn failed: {}", error.message))),
        }
    }

    pub(super) async fn push_round(&mut self, is_waiting: bool) -> Result<(), RuntimeError> {
        let may_be_change = |call: &RoundCall| !call.is_own() && may_change(&call.told);
        // What an agent says of its calls is not believed where it makes them without asking.
        let changes = self.manners.acts_unasked || self.round.all_calls().any(may_be_change);
        let (reply, results) = self.round.take_answer(self.manners.tells_contents);
        self.verdicts.clear();
        self.own_call = None;
        let marks = RoundMarks::of_answer(&reply, &results, self.manners.result_mark, !is_waiting);
        let session = self.session_part(&marks).await?;
        let ended = self.host.end_untold_round(EndedRound {
            reply,
            results,
            may_have_changed: changes,
            is_waiting,
            session,
        })?;
        self.steps.extend(ended);
        Ok(())
    }

    /// What the round added to the program's session; where the turns themselves hold the conversation,
    /// no more than what the program calls it.
    async fn session_part(
        &mut self,
        marks: &RoundMarks,
    ) -> Result<Option<SessionPart>, RuntimeError> {
        let Some(file) = &mut self.session_file else {
            return Ok(self.session.as_ref().map(|id| SessionPart {
                session_id: id.0.to_string(),
                offset: 0,
                end: 0,
                added: String::new(),
            }));
        };
        let name = self.context.agent.program.as_str();
        self.host.session_part(name, file, marks).await
    }
}
