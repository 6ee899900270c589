//! From a request of OpenAI chat completions.

use serde_json::Value;

use crate::conversation::{
    AnswerShape, CallChoice, CallPart, Conversation, ConversationError, ConversationTool,
    DocumentPart, EffortLevel, InstructionText, MediaSource, PartKind, ReasoningPart,
    ReasoningSeal, ResultPart, SamplingSettings, ThinkingSettings, ToolCallInput, ToolInput,
    ToolName, TurnPart, TurnRole, note_left_out,
};
use crate::wire::dialect::Dialect;
use crate::wire::openai::{
    AssistantMessage, ChatContent, ChatMessage, ChatPart, ChatRequest, ChatTool, ChatToolChoice,
    ResponseFormat, StopTexts, ToolCall, ToolMode,
};

/// Fields of a request that are read though its type does not name them.
const READ_FIELDS: [&str; 5] = [
    "reasoning_effort",
    "verbosity",
    "prompt_cache_key",
    "safety_identifier",
    "top_k",
];

/// Reads `request`.
///
/// # Errors
/// Returns [`ConversationError`] for what has no counterpart elsewhere.
pub(crate) fn conversation_of(request: &ChatRequest) -> Result<Conversation, ConversationError> {
    if let Some(field) = unsayable_field(request) {
        return Err(ConversationError::Unsayable { field });
    }
    let word = |name: &str| request.extra.get(name)?.as_str().map(str::to_owned);
    let effort = word("reasoning_effort");
    let top_k = request.extra.get("top_k").and_then(Value::as_u64);
    let mut conversation = Conversation {
        model: request.model.clone(),
        tools: offered_tools(request),
        parallel_calls: request.parallel_tool_calls,
        // As the meter reads them: the largest is what was asked.
        output_tokens_max: request.max_completion_tokens.max(request.max_tokens),
        sampling: SamplingSettings {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: top_k.and_then(|k| u32::try_from(k).ok()),
        },
        stop_texts: match &request.stop {
            None => Vec::new(),
            Some(StopTexts::One(text)) => vec![text.clone()],
            Some(StopTexts::Many(texts)) => texts.clone(),
        },
        answer_shape: request.response_format.as_ref().and_then(answer_shape),
        thinking: ThinkingSettings {
            effort: effort.as_deref().and_then(EffortLevel::from_word),
            ..ThinkingSettings::default()
        },
        verbosity: word("verbosity"),
        cache_key: word("prompt_cache_key"),
        end_user: word("safety_identifier").or_else(|| request.user.clone()),
        stream: request.stream,
        ..Conversation::default()
    };
    conversation.tool_choice = tool_choice(request, &conversation.tools)?;
    let mut reader = MessageReader {
        conversation,
        spoken: false,
    };
    for (at, message) in request.messages.iter().enumerate() {
        reader.add_message(message, at)?;
    }
    let unsaid = request.extra.keys().map(String::as_str);
    note_left_out("request", unsaid.filter(|name| !READ_FIELDS.contains(name)));
    Ok(reader.conversation)
}

/// The first field that asks for what no other dialect gives, and on which its caller counts. A `seed` is not
/// among them: no vendor promises anything by it.
fn unsayable_field(request: &ChatRequest) -> Option<&'static str> {
    let field = |name: &str| request.extra.get(name).unwrap_or(&Value::Null);
    let is_above = |name: &str, n: f64| field(name).as_f64().is_some_and(|asked| asked > n);
    let has_bias = field("logit_bias")
        .as_object()
        .is_some_and(|bias| !bias.is_empty());
    let asked = [
        ("n", is_above("n", 1.0)),
        ("logprobs", field("logprobs") == &Value::Bool(true)),
        ("top_logprobs", is_above("top_logprobs", 0.0)),
        ("logit_bias", has_bias),
    ];
    asked
        .iter()
        .find(|(_, is_asked)| *is_asked)
        .map(|(name, _)| *name)
}

fn offered_tools(request: &ChatRequest) -> Vec<ConversationTool> {
    let tools = request.tools.iter().filter_map(|tool| {
        let (name, description, input) = match tool {
            ChatTool::Function(tool) => {
                let function = &tool.function;
                let (schema, strict) = (function.parameters.clone(), function.strict);
                let input = ToolInput::Object { schema, strict };
                (&function.name, &function.description, input)
            }
            ChatTool::Custom(tool) => {
                let format = tool.custom.format.as_ref().map(flat_format);
                let input = ToolInput::Freeform { format };
                (&tool.custom.name, &tool.custom.description, input)
            }
            ChatTool::Other(_) => {
                note_left_out("tools", [tool.kind()]);
                return None;
            }
        };
        Some(ConversationTool {
            name: ToolName::without_group(name),
            description: description.clone(),
            input,
            cache: None,
        })
    });
    tools.collect()
}

/// The grammar of a free-text tool without the object around it that this dialect alone has.
fn flat_format(format: &Value) -> Value {
    let Some(Value::Object(grammar)) = format.get("grammar") else {
        return format.clone();
    };
    let mut flat = grammar.clone();
    flat.insert("type".to_owned(), "grammar".into());
    Value::Object(flat)
}

fn tool_choice(
    request: &ChatRequest,
    tools: &[ConversationTool],
) -> Result<Option<CallChoice>, ConversationError> {
    Ok(match &request.tool_choice {
        None => None,
        Some(_) if tools.is_empty() => None,
        Some(ChatToolChoice::Mode(ToolMode::Auto)) => Some(CallChoice::Free),
        Some(ChatToolChoice::Mode(ToolMode::Required)) => Some(CallChoice::Required),
        Some(ChatToolChoice::Mode(ToolMode::None)) => Some(CallChoice::Forbidden),
        Some(ChatToolChoice::Function { function, .. }) => {
            Some(CallChoice::Tool(ToolName::without_group(&function.name)))
        }
        Some(ChatToolChoice::Other(choice)) => {
            let kind = choice.get("type").and_then(Value::as_str);
            let custom = choice.get("custom").and_then(|c| c.get("name")?.as_str());
            match custom {
                Some(name) => Some(CallChoice::Tool(ToolName::without_group(name))),
                None => {
                    let kind = kind.unwrap_or("tool_choice").to_owned();
                    let at = "tool_choice".to_owned();
                    return Err(ConversationError::Part { kind, at });
                }
            }
        }
    })
}

fn answer_shape(format: &ResponseFormat) -> Option<AnswerShape> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(AnswerShape::JsonObject),
        ResponseFormat::JsonSchema { json_schema } => Some(AnswerShape::JsonSchema {
            name: Some(json_schema.name.clone()),
            schema: json_schema.schema.clone(),
            strict: json_schema.strict,
        }),
    }
}

struct MessageReader {
    conversation: Conversation,
    /// Whether anybody but the instructions has spoken.
    spoken: bool,
}

impl MessageReader {
    fn add_message(&mut self, message: &ChatMessage, at: usize) -> Result<(), ConversationError> {
        let place = format!("messages[{at}]");
        match message {
            ChatMessage::System(text) | ChatMessage::Developer(text) => {
                self.add_instructions(text.content.joined_text());
                return Ok(());
            }
            ChatMessage::User(text) => {
                for kind in content_parts(&text.content, &place)? {
                    self.push(TurnRole::User, kind);
                }
            }
            ChatMessage::Assistant(answer) => self.add_answer(answer, &place)?,
            ChatMessage::Tool(result) => {
                let calls = self.conversation.turns.iter().flat_map(|turn| &turn.parts);
                let freeform = calls.into_iter().any(|part| {
                    matches!(&part.kind, PartKind::Call(call) if call.id == result.tool_call_id
                        && matches!(call.input, ToolCallInput::Freeform(_)))
                });
                let part = ResultPart {
                    call_id: result.tool_call_id.clone(),
                    parts: content_parts(&result.content, &place)?,
                    is_error: false,
                    freeform,
                };
                self.push(TurnRole::User, PartKind::Result(part));
            }
        }
        self.spoken = true;
        Ok(())
    }

    fn add_instructions(&mut self, text: String) {
        if self.spoken {
            self.push(TurnRole::Instructions, PartKind::Text(text));
        } else {
            let cache = None;
            let text = InstructionText { text, cache };
            self.conversation.instructions.push(text);
        }
    }

    fn add_answer(
        &mut self,
        answer: &AssistantMessage,
        place: &str,
    ) -> Result<(), ConversationError> {
        for part in reasoning_parts(answer) {
            self.push(TurnRole::Model, PartKind::Reasoning(part));
        }
        if let Some(content) = &answer.content {
            for kind in content_parts(content, place)? {
                self.push(TurnRole::Model, kind);
            }
        }
        if let Some(refusal) = &answer.refusal {
            self.push(TurnRole::Model, PartKind::Text(refusal.clone()));
        }
        for call in &answer.tool_calls {
            if let Some(part) = call_part(call) {
                self.push(TurnRole::Model, PartKind::Call(part));
            }
        }
        Ok(())
    }

    fn push(&mut self, role: TurnRole, kind: PartKind) {
        self.conversation
            .push_part(role, TurnPart::without_mark(kind));
    }
}

fn call_part(call: &ToolCall) -> Option<CallPart> {
    let (name, input) = match (&call.function, &call.custom) {
        (Some(function), _) => (
            &function.name,
            ToolCallInput::Json(function.arguments.clone()),
        ),
        (None, Some(custom)) => (&custom.name, ToolCallInput::Freeform(custom.input.clone())),
        (None, None) => return None,
    };
    Some(CallPart {
        id: call.id.clone(),
        tool: ToolName::without_group(name),
        input,
    })
}

/// The reasoning of an answer: what another API's model sealed, and what this one's showed.
fn reasoning_parts(answer: &AssistantMessage) -> Vec<ReasoningPart> {
    let sealed = answer.reasoning_details.iter().filter_map(|detail| {
        let seal = ReasoningSeal::from_text(detail.get("data")?.as_str()?)?;
        let text = detail.get("text").and_then(Value::as_str);
        Some(ReasoningPart {
            text: text.unwrap_or_default().to_owned(),
            seal: Some(seal),
        })
    });
    let sealed: Vec<_> = sealed.collect();
    if !sealed.is_empty() {
        return sealed;
    }
    let (field, text) = match (&answer.reasoning_content, &answer.reasoning) {
        (Some(text), _) => ("reasoning_content", text),
        (None, Some(text)) => ("reasoning", text),
        (None, None) => return Vec::new(),
    };
    vec![ReasoningPart {
        text: text.clone(),
        seal: Some(ReasoningSeal {
            maker: None,
            dialect: Dialect::ChatCompletions,
            payload: serde_json::json!({"field": field, "details": answer.reasoning_details}),
        }),
    }]
}

fn content_parts(content: &ChatContent, place: &str) -> Result<Vec<PartKind>, ConversationError> {
    let parts = match content {
        ChatContent::Text(text) if text.is_empty() => return Ok(Vec::new()),
        ChatContent::Text(text) => return Ok(vec![PartKind::Text(text.clone())]),
        ChatContent::Parts(parts) => parts,
    };
    let kinds = parts.iter().enumerate().map(|(index, part)| {
        let unsayable = |kind: &str| ConversationError::Part {
            kind: kind.to_owned(),
            at: format!("{place}.content[{index}]"),
        };
        Ok(match part {
            ChatPart::Text(part) => PartKind::Text(part.text.clone()),
            ChatPart::Refusal(part) => PartKind::Text(part.refusal.clone()),
            ChatPart::ImageUrl(part) => PartKind::Image(MediaSource::from_url(&part.image_url.url)),
            ChatPart::File(part) => match &part.file.file_data {
                Some(data) => PartKind::Document(DocumentPart {
                    name: part.file.filename.clone(),
                    source: MediaSource::from_url(data),
                }),
                None => return Err(unsayable("file")),
            },
            ChatPart::Other(_) => return Err(unsayable(part.kind())),
        })
    });
    kinds.collect()
}
