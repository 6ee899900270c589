//! From the chunks of OpenAI chat completions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport,
};
use crate::wire::Extra;
use crate::wire::dialect::Dialect;
use crate::wire::openai::{
    ChatChunk, ChatContent, ChatDelta, ChatError, ChatMessage, ChatResponse, ChatUsage,
    ChunkChoice, CustomDelta, FinishReason, FunctionDelta, ToolCall, ToolCallDelta, ToolCallKind,
};

/// Reads the chunks of one answer.
#[derive(Debug)]
pub(crate) struct ChatReader {
    maker: String,
    id: Option<String>,
    thought: Option<OpenThought>,
    calls: Vec<ChatCall>,
    /// The call that pieces of each index belong to.
    by_index: BTreeMap<usize, usize>,
    finish: Option<FinishReason>,
}

/// Reasoning under way.
#[derive(Debug)]
struct OpenThought {
    field: &'static str,
    details: Vec<Value>,
}

/// A call under way; it begins once its name is known.
#[derive(Debug, Default)]
struct ChatCall {
    begun: bool,
    id: Option<String>,
    name: String,
    freeform: bool,
    held_input: String,
}

impl ChatReader {
    /// A reader of what the model at `maker` says.
    pub(crate) fn new(maker: &str) -> Self {
        Self {
            maker: maker.to_owned(),
            id: None,
            thought: None,
            calls: Vec::new(),
            by_index: BTreeMap::new(),
            finish: None,
        }
    }

    /// The events that `chunk` stands for.
    pub(crate) fn push(&mut self, chunk: &ChatChunk) -> Vec<AnswerEvent> {
        let mut out = Vec::new();
        if let Some(error) = &chunk.error {
            out.push(AnswerEvent::Failed(failure_of(error)));
            return out;
        }
        if self.id.is_none() {
            self.id = Some(chunk.id.clone());
            out.push(AnswerEvent::Started(AnswerStart {
                id: chunk.id.clone(),
                model: chunk.model.clone(),
            }));
        }
        if let Some(usage) = &chunk.usage {
            out.push(AnswerEvent::Usage(AnswerUsage {
                service_tier: text_field(&chunk.extra, "service_tier"),
                ..usage_of(usage)
            }));
        }
        for choice in chunk.choices.iter().filter(|c| c.index == 0) {
            self.push_delta(&choice.delta, &mut out);
            // Some servers say nothing by an empty text.
            let reason = choice.finish_reason.as_ref();
            if let Some(reason) = reason.filter(|reason| !reason.as_str().is_empty()) {
                self.finish = Some(reason.clone());
            }
        }
        out
    }

    /// The events that end the answer, or `None` when the stream never said why it ended: it was cut.
    pub(crate) fn finish(&mut self) -> Option<Vec<AnswerEvent>> {
        let reason = self.finish.take()?;
        let mut out = Vec::new();
        self.end_thought(&mut out);
        // A call that never got a name cannot be run by anyone; its absence shows as an empty answer.
        let begun = self.calls.iter().enumerate().filter(|(_, call)| call.begun);
        out.extend(begun.map(|(slot, _)| AnswerEvent::CallEnded { slot }));
        out.push(AnswerEvent::Stopped(StopReport {
            cause: stop_cause(reason),
            stop_text: None,
        }));
        out.push(AnswerEvent::Ended);
        Some(out)
    }

    fn push_delta(&mut self, delta: &ChatDelta, out: &mut Vec<AnswerEvent>) {
        let thought = match (&delta.reasoning_content, &delta.reasoning) {
            (Some(text), _) if !text.is_empty() => Some(("reasoning_content", text)),
            (_, Some(text)) if !text.is_empty() => Some(("reasoning", text)),
            _ => None,
        };
        if thought.is_some() || !delta.reasoning_details.is_empty() {
            let field = thought.map_or("reasoning", |(field, _)| field);
            let details = Vec::new();
            let open = self.thought.get_or_insert(OpenThought { field, details });
            open.details.extend(delta.reasoning_details.iter().cloned());
        }
        if let Some((_, text)) = thought {
            out.push(AnswerEvent::Reasoning(text.clone()));
        }
        for text in [&delta.content, &delta.refusal].into_iter().flatten() {
            if !text.is_empty() {
                self.end_thought(out);
                out.push(AnswerEvent::Text(text.clone()));
            }
        }
        for piece in &delta.tool_calls {
            self.end_thought(out);
            self.push_call(piece, out);
        }
    }

    fn end_thought(&mut self, out: &mut Vec<AnswerEvent>) {
        if let Some(OpenThought { field, details }) = self.thought.take() {
            out.push(AnswerEvent::ReasoningSealed(ReasoningSeal {
                maker: Some(self.maker.clone()),
                dialect: Dialect::ChatCompletions,
                payload: json!({"field": field, "details": details}),
            }));
        }
    }

    fn push_call(&mut self, piece: &ToolCallDelta, out: &mut Vec<AnswerEvent>) {
        let slot = self.slot_of(piece);
        let answer_id = self.id.as_deref().unwrap_or_default();
        let call = &mut self.calls[slot];
        if let Some(id) = piece.id.as_ref().filter(|id| !id.is_empty()) {
            call.id.get_or_insert_with(|| id.clone());
        }
        call.freeform |= piece.kind == Some(ToolCallKind::Custom);
        let (name, input) = match (&piece.function, &piece.custom) {
            (Some(function), _) => (&function.name, &function.arguments),
            (None, Some(custom)) => (&custom.name, &custom.input),
            (None, None) => (&None, &None),
        };
        if !call.begun {
            call.name.push_str(name.as_deref().unwrap_or_default());
        }
        call.held_input
            .push_str(input.as_deref().unwrap_or_default());
        if !call.begun && !call.name.is_empty() {
            call.begun = true;
            // Some servers name no call; the answer's id makes ours differ between answers.
            let id = call.id.clone();
            out.push(AnswerEvent::CallStarted(StartedCall {
                slot,
                id: id.unwrap_or_else(|| format!("call_{answer_id}_{slot}")),
                namespace: None,
                name: call.name.clone(),
                freeform: call.freeform,
            }));
        }
        if call.begun && !call.held_input.is_empty() {
            let piece = std::mem::take(&mut call.held_input);
            out.push(AnswerEvent::CallInput { slot, piece });
        }
    }

    /// Some servers give every call index 0: another id is another call.
    fn slot_of(&mut self, piece: &ToolCallDelta) -> usize {
        let id = piece.id.as_deref().filter(|id| !id.is_empty());
        if let Some(slot) = self.by_index.get(&piece.index) {
            let call = &self.calls[*slot];
            let is_other = match (&call.id, id) {
                (_, None) => false,
                (Some(known), Some(id)) => known != id,
                (None, Some(_)) => call.begun,
            };
            if !is_other {
                return *slot;
            }
        }
        self.calls.push(ChatCall::default());
        self.by_index.insert(piece.index, self.calls.len() - 1);
        self.calls.len() - 1
    }
}

/// The events a whole answer would have come in; `None` when it does not say why it ended.
pub(crate) fn events_of_response(response: &ChatResponse, maker: &str) -> Option<Vec<AnswerEvent>> {
    let choices = response.choices.iter().filter_map(|choice| {
        let ChatMessage::Assistant(message) = &choice.message else {
            return None;
        };
        let calls = message.tool_calls.iter().enumerate();
        Some(ChunkChoice {
            index: choice.index,
            delta: ChatDelta {
                content: message.content.as_ref().map(ChatContent::joined_text),
                refusal: message.refusal.clone(),
                reasoning_content: message.reasoning_content.clone(),
                reasoning: message.reasoning.clone(),
                reasoning_details: message.reasoning_details.clone(),
                tool_calls: calls.map(|(index, call)| whole_call(index, call)).collect(),
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
    let mut reader = ChatReader::new(maker);
    let mut events = reader.push(&chunk);
    events.extend(reader.finish()?);
    Some(events)
}

fn whole_call(index: usize, call: &ToolCall) -> ToolCallDelta {
    ToolCallDelta {
        index,
        id: Some(call.id.clone()),
        kind: Some(call.kind),
        function: call.function.as_ref().map(|function| FunctionDelta {
            name: Some(function.name.clone()),
            arguments: Some(function.arguments.clone()),
        }),
        custom: call.custom.as_ref().map(|custom| CustomDelta {
            name: Some(custom.name.clone()),
            input: Some(custom.input.clone()),
        }),
    }
}

fn text_field(fields: &Extra, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}

fn usage_of(usage: &ChatUsage) -> AnswerUsage {
    let details = usage.prompt_tokens_details.clone().unwrap_or_default();
    let count = |value: Option<&Value>| value.and_then(Value::as_u64);
    let written = count(details.extra.get("cache_write_tokens"));
    let by_age = details.extra.get("cache_write_tokens_details");
    let answered = usage.completion_tokens_details.as_ref();
    AnswerUsage {
        cache_write_hour: by_age.and_then(|ages| count(ages.get("ttl_12h_tokens"))),
        output: Some(usage.completion_tokens),
        reasoning: answered.and_then(|d| d.reasoning_tokens),
        ..AnswerUsage::from_input_total(
            usage.prompt_tokens,
            details.cached_tokens.unwrap_or(0),
            written.unwrap_or(0),
        )
    }
}

fn stop_cause(reason: FinishReason) -> EndReason {
    match reason {
        FinishReason::Stop => EndReason::Finished,
        FinishReason::Length => EndReason::TokenLimit,
        FinishReason::ToolCalls | FinishReason::FunctionCall => EndReason::Calls,
        FinishReason::ContentFilter => EndReason::Refused,
        FinishReason::Other(word) => EndReason::Other(word),
    }
}

/// Servers that fail inside a stream put a status or a word into `code`; without one it is the server's
/// own fault.
fn failure_of(error: &ChatError) -> AnswerFailure {
    let kind = error.kind.as_deref().map(Value::from);
    let code = error.code.clone().filter(|code| !code.is_null()).or(kind);
    AnswerFailure::from_code(code.as_ref(), &error.message)
}
