//! One answer of the model, in the shape that is stored and sent back.

use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolUseBlock};
use omoi_llm::wire::worded_calls::find_worded_call;
use omoi_protocol::worker::{AgentTool, COMPLETION_SIGNAL};

/// One answer of the model, in the shape that is stored and sent back.
#[derive(Clone, Debug)]
pub(crate) struct AgentReply(pub(crate) Vec<ContentBlock>);

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

    /// The tool that a reply without a call calls in words, where nobody runs it.
    pub(crate) fn worded_call(&self) -> Option<String> {
        if !self.tool_calls().is_empty() {
            return None;
        }
        let text = MessageContent::Blocks(self.0.clone()).joined_text();
        find_worded_call(&text, |name| {
            serde_json::from_value::<AgentTool>(name.into()).is_ok()
        })
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
