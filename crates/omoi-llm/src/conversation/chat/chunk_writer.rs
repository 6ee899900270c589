//! To the chunks of OpenAI chat completions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport, ToolNames,
};
use crate::wire::Extra;
use crate::wire::openai::{
    AssistantMessage, ChatChoice, ChatChunk, ChatContent, ChatDelta, ChatError, ChatMessage,
    ChatResponse, ChatUsage, ChunkChoice, CompletionTokensDetails, CustomCall, CustomDelta,
    FinishReason, FunctionCall, FunctionDelta, PromptTokensDetails, ToolCall, ToolCallDelta,
    ToolCallKind,
};

/// Writes the chunks of one answer, and the answer as a whole.
#[derive(Debug)]
pub(crate) struct ChatWriter {
    names: ToolNames,
    created_s: i64,
    start: AnswerStart,
    calls: BTreeMap<usize, ChatCallState>,
    n_calls: usize,
    usage: AnswerUsage,
    stop: Option<StopReport>,
    whole: AssistantMessage,
    /// Text of the reasoning under way.
    thought: String,
}

#[derive(Debug)]
struct ChatCallState {
    index: usize,
    /// Input of a tool that takes free text, when the model writes it as JSON.
    wrapped: Option<String>,
    is_empty: bool,
}

impl ChatWriter {
    /// A writer of an answer, begun at second `created_s` of the epoch, to a conversation whose tools have
    /// `names`.
    pub(crate) fn new(names: ToolNames, created_s: i64) -> Self {
        Self {
            names,
            created_s,
            start: AnswerStart::default(),
            calls: BTreeMap::new(),
            n_calls: 0,
            usage: AnswerUsage::default(),
            stop: None,
            whole: AssistantMessage::default(),
            thought: String::new(),
        }
    }

    /// The chunks that say `event`.
    pub(crate) fn push(&mut self, event: AnswerEvent) -> Vec<ChatChunk> {
        let delta = match event {
            AnswerEvent::Started(start) => {
                self.start = start;
                Some(ChatDelta {
                    role: Some("assistant".to_owned()),
                    content: Some(String::new()),
                    ..ChatDelta::default()
                })
            }
            AnswerEvent::Text(text) => Some(self.add_text(text)),
            AnswerEvent::Reasoning(text) => Some(self.add_thought(text)),
            AnswerEvent::ReasoningSealed(seal) => self.seal_thought(&seal),
            AnswerEvent::CallStarted(call) => Some(self.begin_call(&call)),
            AnswerEvent::CallInput { slot, piece } => self.add_input(slot, piece),
            AnswerEvent::CallEnded { slot } => self.end_call(slot),
            AnswerEvent::Usage(usage) => {
                self.usage.merge_figures(&usage);
                None
            }
            AnswerEvent::Stopped(stop) => {
                self.stop = Some(stop);
                None
            }
            AnswerEvent::Failed(failure) => return vec![self.error_chunk(&failure)],
            AnswerEvent::Ping => None,
            AnswerEvent::Ended => return self.end_answer(),
        };
        let chunk = delta.map(|delta| self.chunk_of(delta, None));
        chunk.into_iter().collect()
    }

    /// The answer as a whole, once it ended.
    pub(crate) fn whole_answer(self) -> ChatResponse {
        let usage = chat_usage(&self.usage);
        ChatResponse {
            id: self.start.id,
            object: "chat.completion".to_owned(),
            created: self.created_s,
            model: self.start.model,
            choices: vec![ChatChoice {
                index: 0,
                finish_reason: self
                    .stop
                    .map(|stop| finish_reason(stop.cause, self.n_calls)),
                message: ChatMessage::Assistant(self.whole),
                extra: Extra::new(),
            }],
            usage: Some(usage),
            extra: Extra::new(),
        }
    }

    fn add_text(&mut self, text: String) -> ChatDelta {
        match &mut self.whole.content {
            Some(ChatContent::Text(whole)) => whole.push_str(&text),
            content => *content = Some(ChatContent::Text(text.clone())),
        }
        ChatDelta {
            content: Some(text),
            ..ChatDelta::default()
        }
    }

    fn add_thought(&mut self, text: String) -> ChatDelta {
        self.thought.push_str(&text);
        let whole = self.whole.reasoning_content.get_or_insert_default();
        whole.push_str(&text);
        ChatDelta {
            reasoning_content: Some(text),
            ..ChatDelta::default()
        }
    }

    fn seal_thought(&mut self, seal: &ReasoningSeal) -> Option<ChatDelta> {
        let text = std::mem::take(&mut self.thought);
        if seal.payload.is_null() {
            return None;
        }
        let detail = json!({"type": "reasoning.encrypted", "text": text, "data": seal.to_text()});
        self.whole.reasoning_details.push(detail.clone());
        Some(ChatDelta {
            reasoning_details: vec![detail],
            ..ChatDelta::default()
        })
    }

    fn begin_call(&mut self, call: &StartedCall) -> ChatDelta {
        let index = self.n_calls;
        self.n_calls += 1;
        let tool = self.names.find_tool(&call.name);
        let (name, freeform) = (tool.name.name, tool.freeform || call.freeform);
        let wrapped = (freeform && !call.freeform).then(String::new);
        let open = ChatCallState {
            index,
            wrapped,
            is_empty: true,
        };
        self.calls.insert(call.slot, open);
        let mut piece = ToolCallDelta {
            index,
            id: Some(call.id.clone()),
            ..ToolCallDelta::default()
        };
        let mut whole = ToolCall {
            id: call.id.clone(),
            ..ToolCall::default()
        };
        if freeform {
            piece.kind = Some(ToolCallKind::Custom);
            piece.custom = Some(CustomDelta {
                name: Some(name.clone()),
                input: Some(String::new()),
            });
            whole.kind = ToolCallKind::Custom;
            let input = String::new();
            whole.custom = Some(CustomCall { name, input });
        } else {
            piece.kind = Some(ToolCallKind::Function);
            piece.function = Some(FunctionDelta {
                name: Some(name.clone()),
                arguments: Some(String::new()),
            });
            let arguments = String::new();
            whole.function = Some(FunctionCall { name, arguments });
        }
        self.whole.tool_calls.push(whole);
        call_delta(piece)
    }

    fn add_input(&mut self, slot: usize, piece: String) -> Option<ChatDelta> {
        let call = self.calls.get_mut(&slot)?;
        if piece.is_empty() {
            return None;
        }
        call.is_empty = false;
        if let Some(wrapped) = &mut call.wrapped {
            wrapped.push_str(&piece);
            return None;
        }
        let index = call.index;
        Some(self.input_delta(index, piece))
    }

    fn end_call(&mut self, slot: usize) -> Option<ChatDelta> {
        let call = self.calls.remove(&slot)?;
        if let Some(wrapped) = call.wrapped {
            let text = unwrapped_input(&wrapped);
            return Some(self.input_delta(call.index, text));
        }
        let is_function = self.whole.tool_calls[call.index].function.is_some();
        let empty = call.is_empty && is_function;
        empty.then(|| self.input_delta(call.index, "{}".to_owned()))
    }

    fn input_delta(&mut self, index: usize, piece: String) -> ChatDelta {
        let whole = &mut self.whole.tool_calls[index];
        let mut delta = ToolCallDelta {
            index,
            ..ToolCallDelta::default()
        };
        match (&mut whole.function, &mut whole.custom) {
            (Some(function), _) => {
                function.arguments.push_str(&piece);
                delta.function = Some(FunctionDelta {
                    name: None,
                    arguments: Some(piece),
                });
            }
            (None, Some(custom)) => {
                custom.input.push_str(&piece);
                delta.custom = Some(CustomDelta {
                    name: None,
                    input: Some(piece),
                });
            }
            (None, None) => {}
        }
        call_delta(delta)
    }

    fn end_answer(&mut self) -> Vec<ChatChunk> {
        let open: Vec<usize> = self.calls.keys().copied().collect();
        let ended: Vec<ChatDelta> = open
            .into_iter()
            .filter_map(|slot| self.end_call(slot))
            .collect();
        let mut out: Vec<ChatChunk> = ended
            .into_iter()
            .map(|delta| self.chunk_of(delta, None))
            .collect();
        let cause = self.stop.as_ref().map(|stop| stop.cause.clone());
        let reason = cause.map(|cause| finish_reason(cause, self.n_calls));
        out.push(self.chunk_of(ChatDelta::default(), reason));
        out.push(ChatChunk {
            choices: Vec::new(),
            usage: Some(chat_usage(&self.usage)),
            ..self.chunk_of(ChatDelta::default(), None)
        });
        out
    }

    fn chunk_of(&self, delta: ChatDelta, finish_reason: Option<FinishReason>) -> ChatChunk {
        ChatChunk {
            id: self.start.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.created_s,
            model: self.start.model.clone(),
            choices: vec![ChunkChoice {
                index: 0,
                delta,
                finish_reason,
                extra: Extra::new(),
            }],
            usage: None,
            error: None,
            extra: Extra::new(),
        }
    }

    fn error_chunk(&self, failure: &AnswerFailure) -> ChatChunk {
        let code = failure.openai_code();
        ChatChunk {
            choices: Vec::new(),
            error: Some(ChatError {
                message: failure.message.clone(),
                kind: Some(code.to_owned()),
                param: None,
                code: Some(Value::from(code)),
            }),
            ..self.chunk_of(ChatDelta::default(), None)
        }
    }
}

fn call_delta(piece: ToolCallDelta) -> ChatDelta {
    ChatDelta {
        tool_calls: vec![piece],
        ..ChatDelta::default()
    }
}

/// The free text that a model was asked to write as the one string of an object; what it wrote where it
/// did not.
pub(crate) fn unwrapped_input(json: &str) -> String {
    let value = serde_json::from_str::<Value>(json).ok();
    let text = value.as_ref().and_then(|v| v.get("input")?.as_str());
    text.map_or_else(|| json.to_owned(), str::to_owned)
}

/// Servers of other APIs may say that they are done although they call a tool; the call counts.
fn finish_reason(cause: EndReason, n_calls: usize) -> FinishReason {
    match cause {
        EndReason::Finished | EndReason::StopText | EndReason::Paused if n_calls > 0 => {
            FinishReason::ToolCalls
        }
        EndReason::Finished | EndReason::StopText | EndReason::Paused => FinishReason::Stop,
        EndReason::TokenLimit => FinishReason::Length,
        EndReason::Calls => FinishReason::ToolCalls,
        EndReason::Refused => FinishReason::ContentFilter,
        EndReason::Other(word) => FinishReason::Other(word),
    }
}

fn chat_usage(usage: &AnswerUsage) -> ChatUsage {
    let (read, answered) = (usage.input_total(), usage.output.unwrap_or(0));
    let written = usage.cache_write.map(Value::from);
    let written = written.map(|tokens| ("cache_write_tokens".to_owned(), tokens));
    ChatUsage {
        prompt_tokens: read,
        completion_tokens: answered,
        total_tokens: read + answered,
        prompt_tokens_details: Some(PromptTokensDetails {
            cached_tokens: Some(usage.cache_read.unwrap_or(0)),
            extra: written.into_iter().collect(),
        }),
        completion_tokens_details: usage.reasoning.map(|tokens| CompletionTokensDetails {
            reasoning_tokens: Some(tokens),
            extra: Extra::new(),
        }),
        extra: Extra::new(),
    }
}
