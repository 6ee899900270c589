//! To the events of Anthropic Messages.

use std::collections::BTreeMap;

use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport, ToolNames,
};
use crate::wire::Extra;
use crate::wire::anthropic::{
    BareEvent, BlockDelta, CacheCreation, ContentBlock, ContentBlockDelta, ContentBlockStart,
    ContentBlockStop, ErrorDetail, InputJsonDelta, MessageDelta, MessageDeltaBody, MessageRole,
    MessageStart, MessageTag, MessagesResponse, RedactedThinkingBlock, SignatureDelta, StopReason,
    StreamError, StreamEvent, TextDelta, ThinkingBlock, ThinkingDelta, TokenUsage, error_of_status,
};

/// Writes the events of one answer.
///
/// Text and reasoning are blocks of their own, closed when the other kind or a call begins. Calls stay
/// open until they end, because their pieces may take turns.
#[derive(Debug)]
pub(crate) struct MessagesWriter {
    names: ToolNames,
    n_blocks: usize,
    prose: Option<(ProseBlock, usize)>,
    calls: BTreeMap<usize, CallBlock>,
    called: bool,
    usage: AnswerUsage,
    stop: Option<StopReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProseBlock {
    Words,
    Reasoning,
}

#[derive(Debug)]
struct CallBlock {
    block: usize,
    /// Free text, which goes out as JSON once it is whole.
    freeform: Option<String>,
}

impl MessagesWriter {
    /// A writer of an answer to a conversation whose tools have `names`.
    pub(crate) fn new(names: ToolNames) -> Self {
        Self {
            names,
            n_blocks: 0,
            prose: None,
            calls: BTreeMap::new(),
            called: false,
            usage: AnswerUsage::default(),
            stop: None,
        }
    }

    /// The events that say `event`.
    pub(crate) fn push(&mut self, event: AnswerEvent) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        match event {
            AnswerEvent::Started(start) => out.push(message_start(start)),
            AnswerEvent::Text(text) => {
                let index = self.open_prose(ProseBlock::Words, &mut out);
                out.push(block_delta(index, BlockDelta::Text(TextDelta { text })));
            }
            AnswerEvent::Reasoning(thinking) => {
                let index = self.open_prose(ProseBlock::Reasoning, &mut out);
                let delta = BlockDelta::Thinking(ThinkingDelta { thinking });
                out.push(block_delta(index, delta));
            }
            AnswerEvent::ReasoningSealed(seal) => self.seal_reasoning(&seal, &mut out),
            AnswerEvent::CallStarted(call) => self.begin_call(&call, &mut out),
            AnswerEvent::CallInput { slot, piece } => match self.calls.get_mut(&slot) {
                Some(CallBlock {
                    freeform: Some(text),
                    ..
                }) => text.push_str(&piece),
                Some(call) if !piece.is_empty() => out.push(input_delta(call.block, piece)),
                _ => {}
            },
            AnswerEvent::CallEnded { slot } => self.end_call(slot, &mut out),
            AnswerEvent::Usage(usage) => self.usage.merge_figures(&usage),
            AnswerEvent::Stopped(stop) => self.stop = Some(stop),
            AnswerEvent::Failed(failure) => out.push(error_event(failure)),
            AnswerEvent::Ping => out.push(StreamEvent::Ping(BareEvent::default())),
            AnswerEvent::Ended => self.end_answer(&mut out),
        }
        out
    }

    fn begin_call(&mut self, call: &StartedCall, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        self.called = true;
        let block = self.next_block();
        let name = self.names.find_tool(&call.name).name.name;
        let content = ContentBlock::tool_use(&call.id, name, serde_json::json!({}));
        out.push(block_start(block, content));
        let freeform = call.freeform.then(String::new);
        self.calls.insert(call.slot, CallBlock { block, freeform });
    }

    fn end_call(&mut self, slot: usize, out: &mut Vec<StreamEvent>) {
        let Some(call) = self.calls.remove(&slot) else {
            return;
        };
        if let Some(text) = call.freeform {
            let json = serde_json::json!({"input": text}).to_string();
            out.push(input_delta(call.block, json));
        }
        out.push(block_stop(call.block));
    }

    /// Reasoning that shows nothing is a block of its own kind.
    fn seal_reasoning(&mut self, seal: &ReasoningSeal, out: &mut Vec<StreamEvent>) {
        if let Some((ProseBlock::Reasoning, index)) = self.prose {
            let signature = seal.to_text();
            let delta = BlockDelta::Signature(SignatureDelta { signature });
            out.push(block_delta(index, delta));
            self.close_prose(out);
            return;
        }
        if seal.payload.is_null() {
            return;
        }
        self.close_prose(out);
        let index = self.next_block();
        let (data, extra) = (seal.to_text(), Extra::new());
        let block = ContentBlock::RedactedThinking(RedactedThinkingBlock { data, extra });
        out.push(block_start(index, block));
        out.push(block_stop(index));
    }

    fn end_answer(&mut self, out: &mut Vec<StreamEvent>) {
        self.close_prose(out);
        let open: Vec<usize> = self.calls.keys().copied().collect();
        for slot in open {
            self.end_call(slot, out);
        }
        let stop = self.stop.take();
        let stop_sequence = stop.as_ref().and_then(|stop| stop.stop_text.clone());
        out.push(StreamEvent::MessageDelta(MessageDelta {
            delta: MessageDeltaBody {
                stop_reason: stop.map(|stop| stop_reason(stop.cause, self.called)),
                stop_sequence,
                stop_details: None,
                extra: Extra::new(),
            },
            usage: token_usage(&self.usage),
            extra: Extra::new(),
        }));
        out.push(StreamEvent::MessageStop(BareEvent::default()));
    }

    fn open_prose(&mut self, kind: ProseBlock, out: &mut Vec<StreamEvent>) -> usize {
        match self.prose {
            Some((open, index)) if open == kind => return index,
            _ => self.close_prose(out),
        }
        let index = self.next_block();
        self.prose = Some((kind, index));
        let block = match kind {
            ProseBlock::Words => ContentBlock::text(""),
            ProseBlock::Reasoning => ContentBlock::Thinking(ThinkingBlock::default()),
        };
        out.push(block_start(index, block));
        index
    }

    fn close_prose(&mut self, out: &mut Vec<StreamEvent>) {
        if let Some((_, index)) = self.prose.take() {
            out.push(block_stop(index));
        }
    }

    const fn next_block(&mut self) -> usize {
        self.n_blocks += 1;
        self.n_blocks - 1
    }
}

/// Some servers say that they are done although they call a tool; the call counts.
fn stop_reason(cause: EndReason, called: bool) -> StopReason {
    match cause {
        EndReason::Finished if called => StopReason::ToolUse,
        EndReason::Finished => StopReason::EndTurn,
        EndReason::TokenLimit => StopReason::MaxTokens,
        EndReason::StopText => StopReason::StopSequence,
        EndReason::Calls => StopReason::ToolUse,
        EndReason::Paused => StopReason::PauseTurn,
        EndReason::Refused => StopReason::Refusal,
        EndReason::Other(word) => StopReason::Other(word),
    }
}

fn token_usage(usage: &AnswerUsage) -> TokenUsage {
    let hour = usage.cache_write_hour;
    TokenUsage {
        input_tokens: usage.input_fresh,
        cache_creation_input_tokens: usage.cache_write,
        cache_creation: hour.map(|hour| CacheCreation {
            ephemeral_5m_input_tokens: usage.cache_write.map(|all| all.saturating_sub(hour)),
            ephemeral_1h_input_tokens: Some(hour),
            extra: Extra::new(),
        }),
        cache_read_input_tokens: usage.cache_read,
        output_tokens: usage.output,
        // What a call costs depends on it.
        extra: usage
            .service_tier
            .iter()
            .map(|tier| ("service_tier".to_owned(), tier.as_str().into()))
            .collect(),
    }
}

fn message_start(start: AnswerStart) -> StreamEvent {
    StreamEvent::MessageStart(MessageStart {
        message: MessagesResponse {
            id: start.id,
            kind: MessageTag::Message,
            role: MessageRole::Assistant,
            model: start.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
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

fn input_delta(index: usize, partial_json: String) -> StreamEvent {
    block_delta(
        index,
        BlockDelta::InputJson(InputJsonDelta { partial_json }),
    )
}

fn block_stop(index: usize) -> StreamEvent {
    StreamEvent::ContentBlockStop(ContentBlockStop {
        index,
        extra: Extra::new(),
    })
}

fn error_event(failure: AnswerFailure) -> StreamEvent {
    StreamEvent::Error(StreamError {
        error: ErrorDetail {
            kind: error_of_status(failure.status).to_owned(),
            message: failure.message,
            extra: Extra::new(),
        },
        extra: Extra::new(),
    })
}
