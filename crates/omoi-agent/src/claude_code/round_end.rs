//! The end of a round: what is committed as a turn of the attempt.

use omoi_llm::wire::anthropic::ContentBlock;
use sha2::{Digest as _, Sha256};

use super::tools::effect_of;
use super::{ClaudeCode, failed};
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

/// What the lines of a round hold in the session file: its answer and every result.
pub(super) fn round_marks(
    reply: &AgentReply,
    results: &[ContentBlock],
    message_id: Option<String>,
    is_waiting: bool,
) -> RoundMarks {
    let ids = results.iter().filter_map(|block| match block {
        ContentBlock::ToolResult(result) => {
            Some(format!("\"tool_use_id\":\"{}\"", result.tool_use_id))
        }
        _ => None,
    });
    let mut texts: Vec<String> = ids.collect();
    // A message has a line per block.
    if is_waiting && let Some(id) = message_id {
        texts.push(format!("\"id\":\"{id}\""));
        let last = reply.0.iter().rev().find_map(ContentBlock::as_text);
        // As it stands in a line of JSON.
        let last = serde_json::to_string(last.unwrap_or_default()).unwrap_or_default();
        texts.push(last.trim_matches('"').to_owned());
    }
    RoundMarks {
        texts,
        is_followed: !is_waiting,
    }
}
