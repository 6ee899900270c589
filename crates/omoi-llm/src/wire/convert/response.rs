//! OpenAI answer to Anthropic answer.

use super::{ConvertError, parse_arguments};
use crate::wire::Extra;
use crate::wire::anthropic::{
    ContentBlock, MessageTag, MessagesResponse, Role, StopReason, ThinkingBlock, TokenUsage,
};
use crate::wire::openai::{ChatMessage, ChatResponse, ChatUsage, FinishReason};

/// Puts a whole OpenAI answer into Anthropic's words.
///
/// # Errors
/// Returns [`ConvertError`] when there is no answer in it or a call's arguments are not JSON.
pub fn from_chat(response: &ChatResponse) -> Result<MessagesResponse, ConvertError> {
    let choice = response.choices.first().ok_or(ConvertError::NoChoice)?;
    let ChatMessage::Assistant(message) = &choice.message else {
        return Err(ConvertError::NoChoice);
    };
    let mut content = Vec::new();
    if let Some(thinking) = message.reasoning_content.clone().filter(|t| !t.is_empty()) {
        content.push(ContentBlock::Thinking(ThinkingBlock {
            thinking,
            ..ThinkingBlock::default()
        }));
    }
    let words = message.content.as_ref().map(|c| c.text());
    for text in [words, message.refusal.clone()].into_iter().flatten() {
        if !text.is_empty() {
            content.push(ContentBlock::text(text));
        }
    }
    for call in &message.tool_calls {
        let input = parse_arguments(&call.function.name, &call.function.arguments)?;
        content.push(ContentBlock::tool_use(&call.id, &call.function.name, input));
    }
    let called = !message.tool_calls.is_empty();
    Ok(MessagesResponse {
        id: response.id.clone(),
        kind: MessageTag::Message,
        role: Role::Assistant,
        model: response.model.clone(),
        content,
        stop_reason: choice
            .finish_reason
            .as_ref()
            .map(|reason| stop_reason(reason, called)),
        stop_sequence: None,
        usage: response
            .usage
            .as_ref()
            .map(usage_from_chat)
            .unwrap_or_default(),
        extra: Extra::new(),
    })
}

/// Puts OpenAI's token counts into Anthropic's: there, cached tokens are not part of the input.
pub fn usage_from_chat(usage: &ChatUsage) -> TokenUsage {
    let cached = usage
        .prompt_tokens_details
        .as_ref()
        .and_then(|details| details.cached_tokens)
        .unwrap_or(0);
    TokenUsage {
        input_tokens: Some(usage.prompt_tokens.saturating_sub(cached)),
        cache_creation_input_tokens: None,
        cache_read_input_tokens: (cached > 0).then_some(cached),
        output_tokens: Some(usage.completion_tokens),
        extra: Extra::new(),
    }
}

/// Some servers say `stop` although they call a function; the call counts.
pub(super) fn stop_reason(reason: &FinishReason, called: bool) -> StopReason {
    match reason {
        FinishReason::Stop if called => StopReason::ToolUse,
        FinishReason::Stop => StopReason::EndTurn,
        FinishReason::Length => StopReason::MaxTokens,
        FinishReason::ToolCalls | FinishReason::FunctionCall => StopReason::ToolUse,
        FinishReason::ContentFilter => StopReason::Refusal,
        FinishReason::Other(word) => StopReason::Other(word.clone()),
    }
}
