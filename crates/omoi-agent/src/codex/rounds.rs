//! The ends of Codex's rounds and turns.

use super::judge::may_change;
use super::protocol::ProgramTurn;
use super::rollout::{ROUND_MARK, RolloutRound, TURN_MARK};
use super::{Codex, NAME, failed};
use crate::program::driver_steps::EndedRound;
use crate::program::session_file::RoundMarks;
use crate::runtime::RuntimeError;

impl Codex<'_> {
    /// The model has answered, and its tools have run. An answer without a call ends with the turn.
    pub(super) async fn end_round(&mut self) -> Result<(), RuntimeError> {
        let round = self.take_part(ROUND_MARK, true).await?;
        if round.answer_calls().next().is_some() {
            self.push_round(round, false)?;
        }
        Ok(())
    }

    pub(super) async fn end_turn(&mut self, turn: &ProgramTurn) -> Result<(), RuntimeError> {
        self.is_turn_running = false;
        match turn.status.as_str() {
            "completed" => {
                let round = self.take_part(TURN_MARK, false).await?;
                self.push_round(round, true)
            }
            _ if self.is_stopping => Ok(()),
            _ => Err(self.turn_failure(turn)),
        }
    }

    /// Takes the lines up to one that holds `mark`; gives what the round under way holds so far.
    async fn take_part(
        &mut self,
        mark: &str,
        is_followed: bool,
    ) -> Result<RolloutRound, RuntimeError> {
        let marks = RoundMarks {
            texts: vec![mark.to_owned()],
            is_followed,
        };
        let Some(session) = &mut self.session else {
            return Err(failed("it has no session file".to_owned()));
        };
        let added = self.host.session_part(NAME, session, &marks).await?;
        match (&mut self.part, added) {
            (Some(part), Some(added)) => part.added.push_str(&added.added),
            (None, added @ Some(_)) => self.part = added,
            (_, None) => {}
        }
        let lines = self.part.as_ref().map_or("", |part| part.added.as_str());
        Ok(RolloutRound::read(lines, &self.failed_calls))
    }

    fn push_round(&mut self, round: RolloutRound, is_waiting: bool) -> Result<(), RuntimeError> {
        let (reply, results) = round.into_parts();
        self.calls.clear();
        self.held_since = None;
        self.failed_calls.clear();
        let ended = self.host.end_untold_round(EndedRound {
            may_have_changed: reply.tool_calls().iter().any(|call| may_change(&call.name)),
            reply,
            results,
            is_waiting,
            session: self.part.take(),
        })?;
        self.steps.extend(ended);
        Ok(())
    }
}
