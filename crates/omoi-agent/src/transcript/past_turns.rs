//! What the recorded turns of an attempt say about how far it has come.

use omoi_domain::attempt::{SubjectKind, TurnKind};
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{AgentTool, AttemptContext, TurnRecord};

use super::AgentReply;

/// Most answers in a row without a tool call.
pub(crate) const NUDGES_MAX: u32 = 3;

/// A recorded turn cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("turn {n} of the transcript cannot be read")]
pub struct BadTurn {
    n: u32,
    #[source]
    source: serde_json::Error,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnCount {
    /// The number of the next turn.
    pub(crate) next_turn: u32,
    /// How many answers in a row came without a tool call.
    pub(crate) nudges: u32,
    /// How many answers in a row called tools in words alone.
    pub(crate) worded: u32,
}

impl TurnCount {
    /// The turns that `context` holds.
    pub(crate) fn of_context(context: &AttemptContext) -> Result<Self, BadTurn> {
        let mut count = Self::default();
        for turn in &context.resume {
            match turn.kind {
                TurnKind::Answer => count.add_turn(&read_turn(turn)?.0),
                TurnKind::Compaction => count.next_turn += 1,
            }
        }
        Ok(count)
    }

    /// Counts a turn that is committed.
    pub(crate) fn add_turn(&mut self, reply: &AgentReply) {
        let called = !reply.tool_calls().is_empty();
        self.nudges = if called { 0 } else { self.nudges + 1 };
        let is_worded = reply.worded_call().is_some();
        self.worded = if is_worded { self.worded + 1 } else { 0 };
        self.next_turn += 1;
    }
}

/// A recorded turn as blocks.
pub(crate) fn read_turn(turn: &TurnRecord) -> Result<(AgentReply, Vec<ContentBlock>), BadTurn> {
    let blocks = |value: &serde_json::Value| {
        serde_json::from_value::<Vec<ContentBlock>>(value.clone())
            .map_err(|source| BadTurn { n: turn.n, source })
    };
    Ok((
        AgentReply(blocks(&turn.response)?),
        blocks(&turn.tool_results)?,
    ))
}

/// The reply that had ended the attempt already, when the worker was lost before its report.
pub(crate) fn final_reply(context: &AttemptContext) -> Result<Option<AgentReply>, BadTurn> {
    let Some(last) = context.resume.last() else {
        return Ok(None);
    };
    if last.kind == TurnKind::Compaction {
        return Ok(None);
    }
    let (reply, results) = read_turn(last)?;
    let done = match context.subject.kind() {
        SubjectKind::SpecPhase => reply.tool_calls().iter().any(|call| {
            call.name == AgentTool::SubmitDone.as_str()
                && results.iter().any(|block| match block {
                    ContentBlock::ToolResult(result) => {
                        result.tool_use_id == call.id && result.is_error != Some(true)
                    }
                    _ => false,
                })
        }),
        _ => results.is_empty(),
    };
    Ok(done.then_some(reply))
}
