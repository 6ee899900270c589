//! To a request of OpenAI chat completions.

use serde_json::Value;

use crate::conversation::{
    AnswerShape, CallChoice, CallPart, Conversation, ConversationError, ConversationTool,
    ConversationTurn, InstructionRole, MaxTokensField, MediaSource, PartKind, ReasoningPart,
    ResultPart, TargetModel, ToolCallInput, ToolInput, ToolNames, TurnPart, TurnRole,
    note_left_out, thinking_fields,
};
use crate::wire::Extra;
use crate::wire::dialect::Dialect;
use crate::wire::openai::{
    AssistantMessage, ChatContent, ChatFunction, ChatMessage, ChatPart, ChatRequest, ChatTool,
    ChatToolChoice, FileData, FilePart, FunctionCall, FunctionDef, FunctionName, FunctionTag,
    ImageUrl, ImageUrlPart, JsonSchemaFormat, ResponseFormat, StopTexts, StreamOptions,
    TextMessage, TextPart, ToolCall, ToolCallKind, ToolMessage, ToolMode,
};

/// Says where a picture of a tool result is: the vendor takes text alone there.
const PICTURE_NOTE: &str = "(the picture is in the next message)";

/// Writes `conversation` for `target`.
///
/// # Errors
/// Returns [`ConversationError`] for what this dialect cannot say.
pub(crate) fn request_of(
    conversation: &Conversation,
    target: &TargetModel<'_>,
) -> Result<ChatRequest, ConversationError> {
    let names = ToolNames::of_conversation(conversation);
    let writer = ChatRequestWriter {
        conversation,
        target,
        names: &names,
    };
    let quirks = &target.quirks;
    let tokens = conversation.output_tokens_max;
    let older = quirks.max_tokens_field == MaxTokensField::MaxTokens;
    let has_tools = !conversation.tools.is_empty();
    let parallel = conversation.parallel_calls;
    let sampling = quirks.takes_sampling.then_some(conversation.sampling);
    if conversation.sampling.top_k.is_some() {
        note_left_out("request", ["top_k"]);
    }
    Ok(ChatRequest {
        model: conversation.model.clone(),
        messages: writer.messages()?,
        tools: conversation
            .tools
            .iter()
            .map(|tool| writer.chat_tool(tool))
            .collect(),
        tool_choice: conversation
            .tool_choice
            .as_ref()
            .filter(|_| has_tools)
            .map(|choice| writer.tool_choice(choice)),
        parallel_tool_calls: parallel.filter(|_| has_tools && quirks.takes_parallel_calls),
        max_tokens: tokens.filter(|_| older),
        max_completion_tokens: tokens.filter(|_| !older),
        temperature: sampling.and_then(|s| s.temperature),
        top_p: sampling.and_then(|s| s.top_p),
        stop: match conversation.stop_texts.as_slice() {
            [] => None,
            texts => Some(StopTexts::Many(texts.to_vec())),
        },
        stream: conversation.stream,
        stream_options: conversation.stream.then(|| StreamOptions {
            include_usage: true,
            extra: Extra::new(),
        }),
        response_format: conversation.answer_shape.as_ref().map(response_format),
        user: conversation.end_user.clone(),
        extra: writer.extra_fields(),
    })
}

struct ChatRequestWriter<'a> {
    conversation: &'a Conversation,
    target: &'a TargetModel<'a>,
    names: &'a ToolNames,
}

impl ChatRequestWriter<'_> {
    fn extra_fields(&self) -> Extra {
        let mut extra = Extra::new();
        let wanted = &self.conversation.thinking;
        let form = self.target.quirks.thinking;
        let answer_max = self.target.output_tokens_max;
        let fields = thinking_fields(form, Dialect::ChatCompletions, wanted, answer_max);
        if fields.is_empty() {
            note_left_out("request", wanted.effort_level().map(|_| "effort"));
        }
        extra.extend(fields);
        if self.target.quirks.takes_cache_key
            && let Some(key) = &self.conversation.cache_key
        {
            extra.insert("prompt_cache_key".to_owned(), key.as_str().into());
        }
        match &self.conversation.verbosity {
            Some(word) if self.target.quirks.takes_verbosity => {
                extra.insert("verbosity".to_owned(), word.as_str().into());
            }
            Some(_) => note_left_out("request", ["verbosity"]),
            None => {}
        }
        extra
    }

    fn messages(&self) -> Result<Vec<ChatMessage>, ConversationError> {
        let mut messages = Vec::with_capacity(self.conversation.turns.len() + 1);
        let texts = self.conversation.instructions.iter();
        let texts: Vec<&str> = texts.map(|text| text.text.as_str()).collect();
        if !texts.is_empty() {
            messages.push(self.instruction_message(texts.join("\n\n")));
        }
        for (at, turn) in self.conversation.turns.iter().enumerate() {
            let at = format!("turn {at}");
            match turn.role {
                TurnRole::User => self.push_user(&mut messages, turn, &at)?,
                TurnRole::Model => messages.extend(self.assistant_message(turn, &at)?),
                TurnRole::Instructions => {
                    let texts = turn.parts.iter().filter_map(part_text);
                    let texts: Vec<&str> = texts.collect();
                    messages.push(self.instruction_message(texts.join("\n\n")));
                }
            }
        }
        Ok(messages)
    }

    fn instruction_message(&self, text: String) -> ChatMessage {
        let text = TextMessage::new(text);
        match self.target.quirks.instruction_role {
            InstructionRole::System => ChatMessage::System(text),
            InstructionRole::Developer => ChatMessage::Developer(text),
        }
    }

    /// Tool results come first: the vendor wants them right behind the calls they answer.
    fn push_user(
        &self,
        out: &mut Vec<ChatMessage>,
        turn: &ConversationTurn,
        at: &str,
    ) -> Result<(), ConversationError> {
        let mut parts = Vec::new();
        for part in &turn.parts {
            match &part.kind {
                PartKind::Result(result) => out.push(self.tool_result(result, &mut parts, at)?),
                kind => parts.extend(self.chat_part(kind, at)?),
            }
        }
        if !parts.is_empty() {
            out.push(ChatMessage::User(TextMessage::new(chat_content(parts))));
        }
        Ok(())
    }

    /// A failed result is marked in its text, as there is no flag for it.
    fn tool_result(
        &self,
        result: &ResultPart,
        pictures: &mut Vec<ChatPart>,
        at: &str,
    ) -> Result<ChatMessage, ConversationError> {
        let mut texts = Vec::new();
        for kind in &result.parts {
            match self.chat_part(kind, at)? {
                Some(ChatPart::Text(text)) => texts.push(text.text),
                Some(other) => {
                    texts.push(PICTURE_NOTE.to_owned());
                    pictures.push(other);
                }
                None => {}
            }
        }
        let mut text = texts.join("\n\n");
        if result.is_error {
            text = format!("Error: {text}");
        }
        Ok(ChatMessage::Tool(ToolMessage {
            content: ChatContent::Text(text),
            tool_call_id: result.call_id.clone(),
            extra: Extra::new(),
        }))
    }

    fn chat_part(&self, kind: &PartKind, at: &str) -> Result<Option<ChatPart>, ConversationError> {
        Ok(match kind {
            PartKind::Text(text) => Some(ChatPart::Text(TextPart { text: text.clone() })),
            PartKind::Image(source) => {
                let url = source.to_url();
                let image_url = ImageUrl { url, detail: None };
                Some(ChatPart::ImageUrl(ImageUrlPart { image_url }))
            }
            PartKind::Document(document) => {
                let is_inline = matches!(document.source, MediaSource::Inline { .. });
                if !self.target.quirks.takes_documents || !is_inline {
                    return Err(ConversationError::Document {
                        media_type: document.source.media_type().to_owned(),
                        at: at.to_owned(),
                    });
                }
                let name = document.name.as_deref().unwrap_or("document.pdf");
                Some(ChatPart::File(FilePart {
                    file: FileData {
                        filename: Some(name.to_owned()),
                        file_data: Some(document.source.to_url()),
                        extra: Extra::new(),
                    },
                }))
            }
            PartKind::Call(_) | PartKind::Result(_) | PartKind::Reasoning(_) => None,
        })
    }

    fn assistant_message(
        &self,
        turn: &ConversationTurn,
        at: &str,
    ) -> Result<Option<ChatMessage>, ConversationError> {
        let mut message = AssistantMessage::default();
        let mut texts = Vec::new();
        for part in &turn.parts {
            match &part.kind {
                PartKind::Text(text) => texts.push(text.as_str()),
                PartKind::Call(call) => message.tool_calls.push(self.tool_call(call)),
                PartKind::Reasoning(part) => self.add_reasoning(&mut message, part),
                PartKind::Image(_) | PartKind::Document(_) | PartKind::Result(_) => {
                    return Err(ConversationError::Part {
                        kind: "picture of the model".to_owned(),
                        at: at.to_owned(),
                    });
                }
            }
        }
        message.content = (!texts.is_empty()).then(|| ChatContent::Text(texts.join("\n\n")));
        // Reasoning of another maker alone is nothing here, and the vendor refuses empty messages.
        let is_empty = message.content.is_none() && message.tool_calls.is_empty();
        Ok((!is_empty).then_some(ChatMessage::Assistant(message)))
    }

    fn add_reasoning(&self, message: &mut AssistantMessage, part: &ReasoningPart) {
        let Some(seal) = &part.seal else {
            return;
        };
        let is_ours = seal.is_readable_by(Dialect::ChatCompletions, self.target.maker);
        if !is_ours || !self.target.quirks.takes_reasoning_back {
            return;
        }
        let field = seal.payload.get("field").and_then(Value::as_str);
        let slot = match field {
            Some("reasoning") => &mut message.reasoning,
            _ => &mut message.reasoning_content,
        };
        slot.get_or_insert_default().push_str(&part.text);
        let details = seal.payload.get("details").and_then(Value::as_array);
        message
            .reasoning_details
            .extend(details.into_iter().flatten().cloned());
    }

    fn tool_call(&self, call: &CallPart) -> ToolCall {
        let arguments = match &call.input {
            ToolCallInput::Json(text) if text.trim().is_empty() => "{}".to_owned(),
            ToolCallInput::Json(text) => text.clone(),
            ToolCallInput::Freeform(text) => serde_json::json!({"input": text}).to_string(),
        };
        ToolCall {
            id: call.id.clone(),
            kind: ToolCallKind::Function,
            function: Some(FunctionCall {
                name: self.names.flat_name(&call.tool),
                arguments,
            }),
            custom: None,
        }
    }

    fn chat_tool(&self, tool: &ConversationTool) -> ChatTool {
        let (parameters, description, strict) = match &tool.input {
            ToolInput::Object { schema, strict } => {
                (schema.clone(), tool.description.clone(), *strict)
            }
            ToolInput::Freeform { .. } => (
                Some(tool.freeform_schema()),
                Some(tool.freeform_description()),
                None,
            ),
        };
        ChatTool::Function(ChatFunction {
            function: FunctionDef {
                name: self.names.flat_name(&tool.name),
                description,
                parameters,
                strict: strict.filter(|strict| *strict),
            },
            extra: Extra::new(),
        })
    }

    fn tool_choice(&self, choice: &CallChoice) -> ChatToolChoice {
        match choice {
            CallChoice::Free => ChatToolChoice::Mode(ToolMode::Auto),
            CallChoice::Required => ChatToolChoice::Mode(ToolMode::Required),
            CallChoice::Forbidden => ChatToolChoice::Mode(ToolMode::None),
            CallChoice::Tool(name) => ChatToolChoice::Function {
                kind: FunctionTag::Function,
                function: FunctionName {
                    name: self.names.flat_name(name),
                },
            },
        }
    }
}

fn part_text(part: &TurnPart) -> Option<&str> {
    match &part.kind {
        PartKind::Text(text) => Some(text),
        _ => None,
    }
}

/// Words alone go as a plain string, which every compatible server reads.
fn chat_content(parts: Vec<ChatPart>) -> ChatContent {
    let only_words = parts.iter().all(|p| matches!(p, ChatPart::Text(_)));
    let parts = ChatContent::Parts(parts);
    if only_words {
        return ChatContent::Text(parts.joined_text());
    }
    parts
}

/// Strict only where asked for: that mode bars optional fields and most bounds.
fn response_format(shape: &AnswerShape) -> ResponseFormat {
    match shape {
        AnswerShape::JsonObject => ResponseFormat::JsonObject,
        AnswerShape::JsonSchema { schema, strict, .. } => ResponseFormat::JsonSchema {
            json_schema: JsonSchemaFormat {
                name: shape.schema_name(),
                schema: schema.clone(),
                strict: *strict,
            },
        },
    }
}
