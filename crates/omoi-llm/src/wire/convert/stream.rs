//! OpenAI stream to Anthropic stream.

use std::collections::BTreeMap;

use serde_json::json;

use crate::wire::Extra;
use crate::wire::answer_signs::openai_usage;
use crate::wire::anthropic::{
    BareEvent, BlockDelta, ContentBlock, ContentBlockDelta, ContentBlockStart, ContentBlockStop,
    ErrorDetail, InputJsonDelta, MessageDelta, MessageDeltaBody, MessageRole, MessageStart,
    MessageTag, MessagesResponse, StopReason, StreamError, StreamEvent, TextDelta, ThinkingBlock,
    ThinkingDelta, TokenUsage, error_of_status,
};
use crate::wire::dialect::Dialect;
use crate::wire::openai::{
    ChatChunk, ChatContent, ChatDelta, ChatError, ChatMessage, ChatResponse, ChunkChoice,
    FinishReason, FunctionDelta, ToolCallDelta,
};

/// Turns chunks into events, one answer long.
///
/// Words and reasoning are blocks of their own, closed when the other kind or a call begins. Calls stay
/// open until the end, because chunks may take turns between calls.
#[derive(Debug, Default)]
pub struct ChunkConverter {
    id: Option<String>,
    blocks: usize,
    prose: Option<(ProseKind, usize)>,
    calls: BTreeMap<usize, PendingCall>,
    finish: Option<FinishReason>,
    usage: TokenUsage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProseKind {
    Words,
    Reasoning,
}

/// A call under way; its block begins once the name is known.
#[derive(Debug, Default)]
struct PendingCall {
    block: Option<usize>,
    id: Option<String>,
    name: String,
    held_arguments: String,
}

impl ChunkConverter {
    /// The events that `chunk` stands for.
    pub fn push(&mut self, chunk: &ChatChunk) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        if let Some(error) = &chunk.error {
            out.push(error_event(error));
            return out;
        }
        if self.id.is_none() {
            self.id = Some(chunk.id.clone());
            out.push(message_start(chunk));
        }
        if let Some(usage) = &chunk.usage {
            let level = chunk.extra.get("service_tier");
            let holder = json!({"usage": usage, "service_tier": level});
            let told = openai_usage(Dialect::ChatCompletions, &holder);
            self.usage.merge(&told.unwrap_or_default());
        }
        for choice in chunk.choices.iter().filter(|c| c.index == 0) {
            self.push_delta(&choice.delta, &mut out);
            if choice.finish_reason.is_some() {
                self.finish.clone_from(&choice.finish_reason);
            }
        }
        out
    }

    /// The events that end the answer, or `None` when the stream never said why it ended: it was cut.
    pub fn finish(mut self) -> Option<Vec<StreamEvent>> {
        let reason = self.finish.take()?;
        let mut out = Vec::new();
        self.close_prose(&mut out);
        // A call that never got a name cannot be run by anyone; its absence shows as an empty answer.
        let named = self.calls.values().filter_map(|call| call.block);
        out.extend(named.map(block_stop));
        let called = self.calls.values().any(|call| call.block.is_some());
        out.push(StreamEvent::MessageDelta(MessageDelta {
            delta: MessageDeltaBody {
                stop_reason: Some(stop_reason(&reason, called)),
                ..MessageDeltaBody::default()
            },
            usage: self.usage,
            extra: Extra::new(),
        }));
        out.push(StreamEvent::MessageStop(BareEvent::default()));
        Some(out)
    }

    fn push_delta(&mut self, delta: &ChatDelta, out: &mut Vec<StreamEvent>) {
        if let Some(text) = non_empty(
            delta
                .reasoning_content
                .as_deref()
                .or(delta.reasoning.as_deref()),
        ) {
            let index = self.open_prose(ProseKind::Reasoning, out);
            let thinking = text.to_owned();
            out.push(block_delta(
                index,
                BlockDelta::Thinking(ThinkingDelta { thinking }),
            ));
        }
        for text in [&delta.content, &delta.refusal] {
            if let Some(text) = non_empty(text.as_deref()) {
                let index = self.open_prose(ProseKind::Words, out);
                let text = text.to_owned();
                out.push(block_delta(index, BlockDelta::Text(TextDelta { text })));
            }
        }
        for piece in &delta.tool_calls {
            self.push_call(piece, out);
        }
    }

    fn push_call(&mut self, piece: &ToolCallDelta, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        let answer_id = self.id.as_deref().unwrap_or_default();
        let call = self.calls.entry(piece.index).or_default();
        if let Some(id) = non_empty(piece.id.as_deref()) {
            call.id.get_or_insert_with(|| id.to_owned());
        }
        let function = piece.function.clone().unwrap_or_default();
        if call.block.is_none() {
            call.name.push_str(&function.name.unwrap_or_default());
        }
        call.held_arguments
            .push_str(&function.arguments.unwrap_or_default());
        if call.block.is_none() && !call.name.is_empty() {
            // Some servers name no call; the answer's id makes ours differ between answers.
            let id = call
                .id
                .clone()
                .unwrap_or_else(|| format!("call_{answer_id}_{}", piece.index));
            call.block = Some(self.blocks);
            out.push(block_start(
                self.blocks,
                ContentBlock::tool_use(id, &call.name, json!({})),
            ));
            self.blocks += 1;
        }
        if let Some(index) = call.block
            && !call.held_arguments.is_empty()
        {
            let partial_json = std::mem::take(&mut call.held_arguments);
            out.push(block_delta(
                index,
                BlockDelta::InputJson(InputJsonDelta { partial_json }),
            ));
        }
    }

    fn open_prose(&mut self, kind: ProseKind, out: &mut Vec<StreamEvent>) -> usize {
        match self.prose {
            Some((open, index)) if open == kind => return index,
            _ => self.close_prose(out),
        }
        let index = self.blocks;
        self.blocks += 1;
        self.prose = Some((kind, index));
        let block = match kind {
            ProseKind::Words => ContentBlock::text(""),
            ProseKind::Reasoning => ContentBlock::Thinking(ThinkingBlock::default()),
        };
        out.push(block_start(index, block));
        index
    }

    fn close_prose(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some((_, index)) = self.prose.take() {
            out.push(block_stop(index));
        }
    }
}

/// The events a whole answer would have come in; `None` when it does not say why it ended.
pub fn events_of_chat(response: &ChatResponse) -> Option<Vec<StreamEvent>> {
    let choices = response.choices.iter().filter_map(|choice| {
        let ChatMessage::Assistant(message) = &choice.message else {
            return None;
        };
        let calls = message.tool_calls.iter().enumerate();
        let tool_calls = calls.map(|(index, call)| ToolCallDelta {
            index,
            id: Some(call.id.clone()),
            function: call.function.as_ref().map(|function| FunctionDelta {
                name: Some(function.name.clone()),
                arguments: Some(function.arguments.clone()),
            }),
            ..ToolCallDelta::default()
        });
        Some(ChunkChoice {
            index: choice.index,
            delta: ChatDelta {
                content: message.content.as_ref().map(ChatContent::joined_text),
                refusal: message.refusal.clone(),
                reasoning_content: message.reasoning_content.clone(),
                tool_calls: tool_calls.collect(),
                ..ChatDelta::default()
            },
            finish_reason: choice.finish_reason.clone(),
            extra: Extra::new(),
        })
    });
    let chunk = ChatChunk {
        id: response.id.clone(),
        object: String::new(),
        created: response.created,
        model: response.model.clone(),
        choices: choices.collect(),
        usage: response.usage.clone(),
        error: None,
        extra: response.extra.clone(),
    };
    let mut converter = ChunkConverter::default();
    let mut events = converter.push(&chunk);
    events.extend(converter.finish()?);
    Some(events)
}

/// Some servers say `stop` although they call a function; the call counts.
fn stop_reason(reason: &FinishReason, called: bool) -> StopReason {
    match reason {
        FinishReason::Stop if called => StopReason::ToolUse,
        FinishReason::Stop => StopReason::EndTurn,
        FinishReason::Length => StopReason::MaxTokens,
        FinishReason::ToolCalls | FinishReason::FunctionCall => StopReason::ToolUse,
        FinishReason::ContentFilter => StopReason::Refusal,
        FinishReason::Other(word) => StopReason::Other(word.clone()),
    }
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|t| !t.is_empty())
}

fn message_start(chunk: &ChatChunk) -> StreamEvent {
    StreamEvent::MessageStart(MessageStart {
        message: MessagesResponse {
            id: chunk.id.clone(),
            kind: MessageTag::Message,
            role: MessageRole::Assistant,
            model: chunk.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            // Readers expect both figures; the real ones come at the end.
            usage: TokenUsage {
                input_tokens: Some(0),
                output_tokens: Some(0),
                ..TokenUsage::default()
            },
            extra: Extra::new(),
        },
        extra: Extra::new(),
    })
}

fn block_start(index: usize, content_block: ContentBlock) -> StreamEvent {
    StreamEvent::ContentBlockStart(ContentBlockStart {
        index,
        content_block,
        extra: Extra::new(),
    })
}

fn block_delta(index: usize, delta: BlockDelta) -> StreamEvent {
    StreamEvent::ContentBlockDelta(ContentBlockDelta {
        index,
        delta,
        extra: Extra::new(),
    })
}

fn block_stop(index: usize) -> StreamEvent {
    StreamEvent::ContentBlockStop(ContentBlockStop {
        index,
        extra: Extra::new(),
    })
}

/// Servers that fail inside a stream put a status into `code`; without one it is the server's own fault.
fn error_event(error: &ChatError) -> StreamEvent {
    let code = error.code.as_ref();
    let status = code
        .and_then(|c| c.as_u64().or_else(|| c.as_str()?.parse().ok()))
        .and_then(|c| u16::try_from(c).ok())
        .unwrap_or(500);
    StreamEvent::Error(StreamError {
        error: ErrorDetail {
            kind: error_of_status(status).to_owned(),
            message: error.message.clone(),
            extra: Extra::new(),
        },
        extra: Extra::new(),
    })
}
