//! Keeps a conversation within the model's window: old tool results become stubs.
//!
//! What becomes a stub follows from the turns alone, so a resumed attempt sends the same bytes again. It
//! happens in large steps: every step changes the beginning of the request, which is read from cache otherwise.

use omoi_llm::wire::anthropic::{ContentBlock, ConversationMessage, MessageContent};
use omoi_protocol::worker::AttemptContext;
use serde::Serialize;

/// Share of the window, in percent, that a request may fill before old results become stubs.
const FILLED_PERCENT: u64 = 60;
/// Share of the room, in percent, that a step has to free; less is not worth a cache miss.
const FREED_PERCENT: usize = 10;
/// The window of a model of which it is not known.
const WINDOW_TOKENS_DEFAULT: u64 = 128_000;
/// Bytes of a request per token, on the safe side.
const BYTES_PER_TOKEN: u64 = 3;
/// The last messages, whose results stay word for word.
const MESSAGES_KEPT: usize = 12;
/// Results that stay, being hardly longer than a stub.
const RESULT_BYTES_MIN: usize = 600;
/// Bytes of a result that its stub shows.
const SHOWN_BYTES: usize = 160;

/// How much of a conversation goes into one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContextWindow {
    room_bytes: usize,
}

impl ContextWindow {
    /// The window that `context` names, with room for an answer.
    pub(crate) fn of_context(context: &AttemptContext) -> Self {
        let window = context
            .limits
            .window_tokens
            .unwrap_or(WINDOW_TOKENS_DEFAULT);
        let beside_answer = window.saturating_sub(u64::from(context.max_tokens));
        let tokens = (window * FILLED_PERCENT / 100).min(beside_answer.max(window / 4));
        Self {
            room_bytes: usize::try_from(tokens * BYTES_PER_TOKEN).unwrap_or(usize::MAX),
        }
    }

    /// Makes old results stubs when the conversation of `bytes` has outgrown its room; returns how many
    /// bytes that saved.
    pub(crate) fn stub_old_results(
        self,
        bytes: usize,
        messages: &mut [ConversationMessage],
    ) -> usize {
        if bytes <= self.room_bytes {
            return 0;
        }
        let n_old = messages.len().saturating_sub(MESSAGES_KEPT);
        let old = &mut messages[..n_old];
        let would_save: usize = old
            .iter()
            .flat_map(result_stubs)
            .map(|stub| stub.saves)
            .sum();
        if would_save < self.room_bytes / 100 * FREED_PERCENT {
            return 0;
        }
        for message in old {
            let stubs = result_stubs(message);
            if let MessageContent::Blocks(blocks) = &mut message.content {
                for stub in stubs {
                    if let Some(ContentBlock::ToolResult(result)) = blocks.get_mut(stub.index) {
                        result.content = Some(stub.text.into());
                    }
                }
            }
        }
        would_save
    }
}

/// What takes the place of one result.
struct ResultStub {
    /// The block in its message.
    index: usize,
    text: String,
    saves: usize,
}

fn result_stubs(message: &ConversationMessage) -> Vec<ResultStub> {
    let MessageContent::Blocks(blocks) = &message.content else {
        return Vec::new();
    };
    let stubs = blocks.iter().enumerate().filter_map(|(index, block)| {
        let ContentBlock::ToolResult(result) = block else {
            return None;
        };
        let content = result.content.as_ref()?;
        let bytes = json_bytes(content);
        if bytes < RESULT_BYTES_MIN {
            return None;
        }
        let whole = content.joined_text();
        let shown = &whole[..whole.floor_char_boundary(SHOWN_BYTES)];
        let text = format!(
            "[{bytes} bytes of an earlier result are left out here to save room; call the tool again if you \
             need them. They began: {shown}]"
        );
        let saves = bytes.saturating_sub(json_bytes(&text));
        Some(ResultStub { index, text, saves })
    });
    stubs.collect()
}

/// How long `value` is in a request.
pub(crate) fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A brief and `n` turns with results of `bytes`.
    fn conversation(n: usize, bytes: usize) -> Vec<ConversationMessage> {
        let turns = (0..n).flat_map(|turn| {
            let id = format!("t{turn}");
            let call = ContentBlock::tool_use(&id, "read", serde_json::json!({ "path": id }));
            let result =
                ContentBlock::tool_result(&id, format!("{turn} {}", "x".repeat(bytes)), false);
            [
                ConversationMessage::from_assistant(vec![call]),
                ConversationMessage::from_user(vec![result]),
            ]
        });
        std::iter::once(ConversationMessage::from_user("Do it."))
            .chain(turns)
            .collect()
    }

    fn size(messages: &[ConversationMessage]) -> usize {
        messages.iter().map(json_bytes).sum()
    }

    #[test]
    fn old_results_become_stubs_when_room_runs_out_and_the_last_stay() {
        let window = ContextWindow {
            room_bytes: 100_000,
        };
        let mut small = conversation(20, 4_000);
        let before = small.clone();
        assert_eq!(window.stub_old_results(size(&small), &mut small), 0);
        assert_eq!(small, before, "there is room");

        let mut large = conversation(20, 8_000);
        let before = large.clone();
        let saved = window.stub_old_results(size(&large), &mut large);
        assert_eq!(size(&large) + saved, size(&before));
        assert_eq!(large.len(), before.len(), "every call keeps its result");
        let n_old = large.len() - MESSAGES_KEPT;
        assert_eq!(
            large[n_old..],
            before[n_old..],
            "the last turns stay word for word"
        );
        assert_eq!(large[0], before[0], "so does the brief");
        for message in &large[..n_old] {
            assert!(json_bytes(message) < 1_000, "{message:?}");
        }
        let again = window.stub_old_results(usize::MAX, &mut large);
        assert_eq!(again, 0, "a stub stays as it is");
    }

    #[test]
    fn a_step_that_frees_little_is_not_taken() {
        let window = ContextWindow {
            room_bytes: 100_000,
        };
        let mut messages = conversation(6, 40_000);
        let before = messages.clone();
        assert_eq!(window.stub_old_results(size(&messages), &mut messages), 0);
        assert_eq!(messages, before);
    }
}
