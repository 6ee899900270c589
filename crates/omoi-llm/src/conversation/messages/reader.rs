//! From the events of Anthropic Messages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport,
};
use crate::wire::anthropic::{
    BlockDelta, ContentBlock, ContentBlockDelta, MessageDelta, MessagesResponse, StopReason,
    StreamEvent, TokenUsage, status_of_error,
};
use crate::wire::dialect::Dialect;

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct MessagesReader {
    maker: String,
    open: BTreeMap<usize, BlockProgress>,
}

/// A block that has begun.
#[derive(Debug)]
enum BlockProgress {
    Text,
    Thinking {
        text: String,
        signature: String,
    },
    Redacted(String),
    Call {
        /// Input that came with the beginning, from servers that do not stream it.
        whole_input: Option<String>,
    },
    /// What the vendor did by itself.
    Unsaid,
}

impl MessagesReader {
    /// A reader of what the model at `maker` says.
    pub(crate) fn new(maker: &str) -> Self {
        Self {
            maker: maker.to_owned(),
            open: BTreeMap::new(),
        }
    }

    /// The events that `event` stands for.
    pub(crate) fn push(&mut self, event: &StreamEvent) -> Vec<AnswerEvent> {
        match event {
            StreamEvent::MessageStart(start) => {
                let message = &start.message;
                vec![
                    AnswerEvent::Started(AnswerStart {
                        id: message.id.clone(),
                        model: message.model.clone(),
                    }),
                    // Of the answer's own tokens it cannot know yet.
                    AnswerEvent::Usage(AnswerUsage {
                        output: None,
                        ..usage_of(&message.usage)
                    }),
                ]
            }
            StreamEvent::ContentBlockStart(start) => {
                self.begin_block(start.index, &start.content_block)
            }
            StreamEvent::ContentBlockDelta(delta) => self.grow_block(delta).into_iter().collect(),
            StreamEvent::ContentBlockStop(stop) => self.end_block(stop.index),
            StreamEvent::MessageDelta(delta) => end_events(delta),
            StreamEvent::MessageStop(_) => {
                let open: Vec<usize> = self.open.keys().copied().collect();
                let mut out: Vec<_> = open.iter().flat_map(|i| self.end_block(*i)).collect();
                out.push(AnswerEvent::Ended);
                out
            }
            StreamEvent::Ping(_) => vec![AnswerEvent::Ping],
            StreamEvent::Error(error) => vec![AnswerEvent::Failed(AnswerFailure {
                status: status_of_error(&error.error.kind).unwrap_or(500),
                message: error.error.message.clone(),
            })],
            StreamEvent::Other(_) => Vec::new(),
        }
    }

    fn begin_block(&mut self, index: usize, block: &ContentBlock) -> Vec<AnswerEvent> {
        let mut out = Vec::new();
        let open = match block {
            ContentBlock::Text(block) => {
                if !block.text.is_empty() {
                    out.push(AnswerEvent::Text(block.text.clone()));
                }
                BlockProgress::Text
            }
            ContentBlock::Thinking(block) => {
                if !block.thinking.is_empty() {
                    out.push(AnswerEvent::Reasoning(block.thinking.clone()));
                }
                BlockProgress::Thinking {
                    text: block.thinking.clone(),
                    signature: block.signature.clone(),
                }
            }
            ContentBlock::RedactedThinking(block) => BlockProgress::Redacted(block.data.clone()),
            ContentBlock::ToolUse(call) => {
                out.push(AnswerEvent::CallStarted(StartedCall {
                    slot: index,
                    id: call.id.clone(),
                    namespace: None,
                    name: call.name.clone(),
                    freeform: false,
                }));
                let is_empty = call.input.as_object().is_none_or(serde_json::Map::is_empty);
                BlockProgress::Call {
                    whole_input: (!is_empty).then(|| call.input.to_string()),
                }
            }
            other => {
                let kind = other.kind();
                tracing::debug!(kind, "Left out a block of the answer");
                BlockProgress::Unsaid
            }
        };
        self.open.insert(index, open);
        out
    }

    fn grow_block(&mut self, delta: &ContentBlockDelta) -> Option<AnswerEvent> {
        match (self.open.get_mut(&delta.index)?, &delta.delta) {
            (BlockProgress::Text, BlockDelta::Text(delta)) => {
                (!delta.text.is_empty()).then(|| AnswerEvent::Text(delta.text.clone()))
            }
            (BlockProgress::Thinking { text, .. }, BlockDelta::Thinking(delta)) => {
                text.push_str(&delta.thinking);
                let is_new = !delta.thinking.is_empty();
                is_new.then(|| AnswerEvent::Reasoning(delta.thinking.clone()))
            }
            (BlockProgress::Thinking { signature, .. }, BlockDelta::Signature(delta)) => {
                signature.push_str(&delta.signature);
                None
            }
            (BlockProgress::Call { whole_input }, BlockDelta::InputJson(json)) => {
                *whole_input = None;
                Some(AnswerEvent::CallInput {
                    slot: delta.index,
                    piece: json.partial_json.clone(),
                })
            }
            _ => None,
        }
    }

    fn end_block(&mut self, index: usize) -> Vec<AnswerEvent> {
        match self.open.remove(&index) {
            Some(BlockProgress::Thinking { text, signature }) => {
                vec![self.sealed(json!({"thinking": text, "signature": signature}))]
            }
            Some(BlockProgress::Redacted(data)) => vec![self.sealed(json!({"data": data}))],
            Some(BlockProgress::Call { whole_input }) => {
                let input = whole_input.map(|piece| AnswerEvent::CallInput { slot: index, piece });
                let ended = AnswerEvent::CallEnded { slot: index };
                input.into_iter().chain([ended]).collect()
            }
            Some(BlockProgress::Text | BlockProgress::Unsaid) | None => Vec::new(),
        }
    }

    fn sealed(&self, payload: Value) -> AnswerEvent {
        AnswerEvent::ReasoningSealed(ReasoningSeal {
            maker: Some(self.maker.clone()),
            dialect: Dialect::Messages,
            payload,
        })
    }
}

/// The events a whole answer would have come in.
pub(crate) fn events_of_response(response: &MessagesResponse, maker: &str) -> Vec<AnswerEvent> {
    let mut reader = MessagesReader::new(maker);
    let mut out = vec![
        AnswerEvent::Started(AnswerStart {
            id: response.id.clone(),
            model: response.model.clone(),
        }),
        AnswerEvent::Usage(usage_of(&response.usage)),
    ];
    for (index, block) in response.content.iter().enumerate() {
        out.extend(reader.begin_block(index, block));
        out.extend(reader.end_block(index));
    }
    if let Some(reason) = &response.stop_reason {
        let stop_text = response.stop_sequence.clone();
        let cause = stop_cause(reason);
        out.push(AnswerEvent::Stopped(StopReport { cause, stop_text }));
    }
    out.push(AnswerEvent::Ended);
    out
}

fn end_events(delta: &MessageDelta) -> Vec<AnswerEvent> {
    let stop_text = delta.delta.stop_sequence.clone();
    let stopped = delta.delta.stop_reason.as_ref().map(|reason| {
        let cause = stop_cause(reason);
        AnswerEvent::Stopped(StopReport { cause, stop_text })
    });
    let usage = AnswerEvent::Usage(usage_of(&delta.usage));
    [usage].into_iter().chain(stopped).collect()
}

fn stop_cause(reason: &StopReason) -> EndReason {
    match reason {
        StopReason::EndTurn => EndReason::Finished,
        StopReason::MaxTokens => EndReason::TokenLimit,
        StopReason::StopSequence => EndReason::StopText,
        StopReason::ToolUse => EndReason::Calls,
        StopReason::PauseTurn => EndReason::Paused,
        StopReason::Refusal => EndReason::Refused,
        StopReason::Other(word) => EndReason::Other(word.clone()),
    }
}

fn usage_of(usage: &TokenUsage) -> AnswerUsage {
    let hour = usage
        .cache_creation
        .as_ref()
        .and_then(|c| c.ephemeral_1h_input_tokens);
    AnswerUsage {
        input_fresh: usage.input_tokens,
        cache_read: usage.cache_read_input_tokens,
        cache_write: usage.cache_creation_input_tokens,
        cache_write_hour: hour,
        output: usage.output_tokens,
        reasoning: None,
        service_tier: usage
            .extra
            .get("service_tier")
            .and_then(Value::as_str)
            .map(str::to_owned),
    }
}
