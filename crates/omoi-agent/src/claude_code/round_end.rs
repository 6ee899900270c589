//! The end of a round: what is committed as a turn of the attempt.

use omoi_llm::wire::anthropic::ContentBlock;

use super::tools::effect_of;
use super::{ClaudeCode, NAME, RESULT_MARK};
use crate::program::driver_steps::EndedRound;
use crate::program::session_file::RoundMarks;
use crate::program::tool_rules::ToolEffect;
use crate::runtime::{RuntimeError, RuntimeEvent};
use crate::transcript::AgentReply;

impl ClaudeCode<'_> {
    pub(super) async fn end_round(
        &mut self,
        reply: AgentReply,
        results: Vec<ContentBlock>,
        marks: RoundMarks,
    ) -> Result<RuntimeEvent, RuntimeError> {
        let session = match &mut self.session {
            Some(session) => self.host.session_part(NAME, session, &marks).await?,
            None => None,
        };
        let may_have_changed = reply.tool_calls().iter().any(|call| {
            let effect = effect_of(&call.name, &call.input);
            matches!(effect, ToolEffect::Write(_) | ToolEffect::Shell(_))
        });
        let turn = self.host.end_round(EndedRound {
            reply,
            results,
            may_have_changed,
            is_waiting: !marks.is_followed,
            session,
        })?;
        Ok(RuntimeEvent::TurnEnded(turn))
    }
}

/// How a round is found in the session file: by its results, and by its answer where nothing follows.
pub(super) fn round_marks(
    reply: &AgentReply,
    results: &[ContentBlock],
    message_id: Option<String>,
    is_waiting: bool,
) -> RoundMarks {
    let mut marks = RoundMarks::of_answer(reply, results, RESULT_MARK, !is_waiting);
    if let (true, Some(id)) = (is_waiting, message_id) {
        marks.texts.push(format!("\"id\":\"{id}\""));
    }
    marks
}
