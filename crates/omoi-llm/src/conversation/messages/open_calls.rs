//! Calls that nobody answered.

use crate::wire::anthropic::{ContentBlock, ConversationMessage, MessageContent, MessageRole};

/// Answers calls that nobody answered, as after an interrupt: the vendor refuses a conversation that
/// leaves one open.
pub(super) fn close_open_calls(messages: &mut Vec<ConversationMessage>) {
    let mut at = 0;
    while at < messages.len() {
        let open = open_calls(&messages[at], messages.get(at + 1));
        let is_last = at + 1 == messages.len();
        at += 1;
        if open.is_empty() {
            continue;
        }
        let results = open.into_iter().map(|id| {
            let says = "The call was interrupted and has no result.";
            ContentBlock::tool_result(id, says, true)
        });
        let results: Vec<ContentBlock> = results.collect();
        let next_is_user = !is_last && messages[at].role == MessageRole::User;
        match messages.get_mut(at).map(|message| &mut message.content) {
            Some(MessageContent::Blocks(blocks)) if next_is_user => {
                blocks.splice(0..0, results);
            }
            _ => messages.insert(at, ConversationMessage::from_user(results)),
        }
    }
}

/// The calls of `message` that `next` does not answer.
fn open_calls(message: &ConversationMessage, next: Option<&ConversationMessage>) -> Vec<String> {
    let next = next.map(content_blocks).unwrap_or_default();
    let is_answered = |id: &str| {
        next.iter().any(
            |block| matches!(block, ContentBlock::ToolResult(result) if result.tool_use_id == id),
        )
    };
    let calls = content_blocks(message).iter();
    calls
        .filter_map(|block| match block {
            ContentBlock::ToolUse(call) if !is_answered(&call.id) => Some(call.id.clone()),
            _ => None,
        })
        .collect()
}

fn content_blocks(message: &ConversationMessage) -> &[ContentBlock] {
    match &message.content {
        MessageContent::Blocks(blocks) => blocks,
        MessageContent::Text(_) => &[],
    }
}
