//! The conversation so far, from the context and the turns taken since.

use sha2::{Digest as _, Sha256};

use omoi_domain::attempt::SubjectKind;
use omoi_llm::wire::anthropic::{
    ContentBlock, ConversationMessage, MessageContent, MessagesRequest, ToolUseBlock,
};
use omoi_protocol::worker::{AgentTool, AttemptContext, COMPLETION_SIGNAL, TurnRecord};

use crate::context_window::{ContextWindow, json_bytes};
use crate::tools;

/// Most answers in a row without a tool call.
pub(crate) const NUDGES_MAX: u32 = 3;

/// A recorded turn cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("turn {n} of the transcript cannot be read")]
pub(crate) struct BadTurn {
    n: u32,
    #[source]
    source: serde_json::Error,
}

/// The conversation so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    messages: Vec<ConversationMessage>,
    /// About how long they are in a request.
    bytes: usize,
    window: ContextWindow,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnCount {
    /// The number of the next turn.
    pub(crate) next_turn: u32,
    /// How many answers in a row came without a tool call.
    pub(crate) nudges: u32,
}

impl TurnCount {
    /// The turns that `context` holds.
    pub(crate) fn of_context(context: &AttemptContext) -> Result<Self, BadTurn> {
        let mut count = Self::default();
        for turn in &context.resume {
            count.add_turn(&read_turn(turn)?.0);
        }
        Ok(count)
    }

    /// Counts a turn that is committed.
    pub(crate) fn add_turn(&mut self, reply: &AgentReply) {
        let called = !reply.tool_calls().is_empty();
        self.nudges = if called { 0 } else { self.nudges + 1 };
        self.next_turn += 1;
    }
}

/// One answer of the model, in the shape that is stored and sent back.
#[derive(Clone, Debug)]
pub(crate) struct AgentReply(pub(crate) Vec<ContentBlock>);

impl Transcript {
    /// The first user message and every turn recorded.
    pub(crate) fn new(context: &AttemptContext) -> Result<Self, BadTurn> {
        let brief = ConversationMessage::from_user(context.prompt.as_str());
        let mut transcript = Self {
            bytes: context.system.len() + json_bytes(&brief),
            messages: vec![brief],
            window: ContextWindow::of_context(context),
        };
        for turn in &context.resume {
            let (reply, results) = read_turn(turn)?;
            transcript.push_turn(reply, results);
        }
        Ok(transcript)
    }

    /// Adds a turn that is committed.
    pub(crate) fn push_turn(&mut self, reply: AgentReply, results: Vec<ContentBlock>) {
        self.push_message(ConversationMessage::from_assistant(reply.0));
        if !results.is_empty() {
            self.push_message(ConversationMessage::from_user(results));
        }
        let saved = self.window.stub_old_results(self.bytes, &mut self.messages);
        self.bytes = self.bytes.saturating_sub(saved);
    }

    fn push_message(&mut self, message: ConversationMessage) {
        self.bytes += json_bytes(&message);
        self.messages.push(message);
    }

    /// The request of the next turn and the digest of its bytes.
    pub(crate) fn next_request(
        &self,
        context: &AttemptContext,
    ) -> Result<(MessagesRequest, String), serde_json::Error> {
        let mut request =
            MessagesRequest::new(&context.model, context.max_tokens, self.messages.clone());
        request.stream = true;
        if !context.system.is_empty() {
            request.system = Some(MessageContent::Text(context.system.clone()));
        }
        request.tools = tools::offered_tools(context);
        let bytes = serde_json::to_vec(&request)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        Ok((request, digest))
    }
}

/// The words of `blocks`, as one message.
pub(crate) fn text_of_blocks(blocks: &[ContentBlock]) -> String {
    let texts: Vec<_> = blocks.iter().filter_map(ContentBlock::as_text).collect();
    texts.join("\n\n")
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

impl AgentReply {
    /// The blocks of an answer in a shape that can be sent back: never empty, no empty words.
    pub(crate) fn new(blocks: Vec<ContentBlock>) -> Self {
        let mut kept: Vec<_> = blocks
            .into_iter()
            .filter(|b| b.as_text().is_none_or(|text| !text.trim().is_empty()))
            .collect();
        let says = |b: &ContentBlock| matches!(b, ContentBlock::Text(_) | ContentBlock::ToolUse(_));
        if !kept.iter().any(says) {
            kept.push(ContentBlock::text("(no answer)"));
        }
        Self(kept)
    }

    /// The tool calls, in order.
    pub(crate) fn tool_calls(&self) -> Vec<&ToolUseBlock> {
        let calls = self.0.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(call),
            _ => None,
        });
        calls.collect()
    }

    /// Whether the last non-empty line is the completion signal and nothing else.
    pub(crate) fn is_signal(&self) -> bool {
        let last = self.0.iter().rev().find_map(ContentBlock::as_text);
        let line = last.and_then(|text| text.trim_end().lines().next_back().map(str::trim));
        line == Some(COMPLETION_SIGNAL)
    }

    /// Text of the reply without the completion signal; none when that leaves nothing.
    pub(crate) fn summary_text(&self) -> Option<String> {
        let text = MessageContent::Blocks(self.0.clone()).joined_text();
        let text = text.trim_end();
        let text = match text.strip_suffix(COMPLETION_SIGNAL) {
            Some(before) if self.is_signal() => before,
            _ => text,
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_stands_alone_on_the_last_line() {
        let cases = [
            ("Did it.\n\nTASK_COMPLETE\n\n", true, Some("Did it.")),
            ("TASK_COMPLETE", true, None),
            ("  TASK_COMPLETE  ", true, None),
            (
                "I will say TASK_COMPLETE",
                false,
                Some("I will say TASK_COMPLETE"),
            ),
            (
                "TASK_COMPLETE\nnot yet",
                false,
                Some("TASK_COMPLETE\nnot yet"),
            ),
            ("`TASK_COMPLETE`", false, Some("`TASK_COMPLETE`")),
            ("", false, Some("(no answer)")),
        ];
        for (text, signal, summary) in cases {
            let reply = AgentReply::new(vec![ContentBlock::text(text)]);
            assert_eq!(reply.is_signal(), signal, "{text}");
            assert_eq!(reply.summary_text().as_deref(), summary, "{text}");
        }
    }
}
