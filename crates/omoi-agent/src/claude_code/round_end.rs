//! The end of a round: what is committed as a turn of the attempt.

use omoi_llm::wire::anthropic::ContentBlock;
use sha2::{Digest as _, Sha256};

use super::tools::effect_of;
use super::{ClaudeCode, RESULT_MARK, failed};
use crate::program::session_file::RoundMarks;
use crate::program::tool_rules::ToolEffect;
use crate::runtime::{AgentTurn, RuntimeError, RuntimeEvent};
use crate::transcript::AgentReply;

impl ClaudeCode<'_> {
    pub(super) async fn end_round(
        &mut self,
        reply: AgentReply,
        results: Vec<ContentBlock>,
        marks: RoundMarks,
    ) -> Result<RuntimeEvent, RuntimeError> {
        let clock = self.host.clock.clone();
        let session = match &mut self.session {
            Some(session) => session.take_added(&marks, clock.as_ref()).await,
            None => Ok(None),
        };
        let session = session.map_err(|error| failed(format!("its session file: {error}")))?;
        let decisions = self.host.tool_server.take_decisions();
        let request_digest = hex::encode(Sha256::digest(&self.asked));
        self.asked = serde_json::to_vec(&results)?;
        let may_have_changed = reply.tool_calls().iter().any(|call| {
            let effect = effect_of(&call.name, &call.input);
            matches!(effect, ToolEffect::Write(_) | ToolEffect::Shell(_))
        });
        Ok(RuntimeEvent::TurnEnded(AgentTurn {
            reply,
            results,
            request_digest,
            request_tokens: None,
            is_accepted: decisions.is_accepted,
            gives_up: decisions.gives_up,
            may_have_changed,
            is_waiting: !marks.is_followed,
            session,
        }))
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
