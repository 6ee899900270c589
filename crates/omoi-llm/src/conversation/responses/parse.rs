//! From a request of OpenAI Responses.

use serde_json::Value;

use crate::conversation::{
    AnswerShape, CallChoice, CallPart, Conversation, ConversationError, ConversationTool,
    DocumentPart, EffortLevel, InstructionText, MediaSource, PartKind, ReasoningPart,
    ReasoningSeal, ResultPart, SamplingSettings, ThinkingSettings, ToolCallInput, ToolInput,
    ToolName, TurnPart, TurnRole, note_left_out,
};
use crate::wire::dialect::Dialect;
use crate::wire::openai::ToolMode;
use crate::wire::responses::{
    CallOutputItem, ItemContent, ItemPart, ItemRole, MessageItem, ReasoningItem, ResponsesInput,
    ResponsesItem, ResponsesRequest, ResponsesTool, ResponsesToolChoice, TextFormat,
};

/// Fields of a request that another vendor's model needs not to be told.
const SETTLED_FIELDS: [&str; 2] = ["client_metadata", "user"];

/// Reads `request`.
///
/// # Errors
/// Returns [`ConversationError`] for what has no counterpart elsewhere.
pub(crate) fn conversation_of(
    request: &ResponsesRequest,
) -> Result<Conversation, ConversationError> {
    let kept = request.extra.get("conversation").filter(|v| !v.is_null());
    for (field, is_set) in [
        (
            "previous_response_id",
            request.previous_response_id.is_some(),
        ),
        ("conversation", kept.is_some()),
    ] {
        if is_set {
            return Err(ConversationError::KeptElsewhere { field });
        }
    }
    let text = request.text.as_ref();
    let reasoning = request.reasoning.as_ref();
    let effort = reasoning.and_then(|r| r.effort.as_deref());
    let user = request.extra.get("user").and_then(Value::as_str);
    let instructions = request.instructions.iter().map(|text| InstructionText {
        text: text.clone(),
        cache: None,
    });
    let mut conversation = Conversation {
        model: request.model.clone(),
        instructions: instructions.collect(),
        parallel_calls: request.parallel_tool_calls,
        output_tokens_max: request.max_output_tokens,
        sampling: SamplingSettings {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: None,
        },
        answer_shape: text
            .and_then(|text| text.format.as_ref())
            .and_then(answer_shape),
        thinking: ThinkingSettings {
            effort: effort.and_then(EffortLevel::from_word),
            summary: reasoning.and_then(|r| r.summary.clone()),
            ..ThinkingSettings::default()
        },
        verbosity: text.and_then(|text| text.verbosity.clone()),
        cache_key: request.prompt_cache_key.clone(),
        end_user: request
            .safety_identifier
            .clone()
            .or(user.map(str::to_owned)),
        stream: request.stream,
        ..Conversation::default()
    };
    add_tools(&mut conversation.tools, &request.tools, None);
    conversation.tool_choice = tool_choice(request, &conversation.tools)?;
    let mut reader = ItemReader {
        conversation,
        spoken: false,
    };
    match &request.input {
        ResponsesInput::Text(text) => reader.push(TurnRole::User, PartKind::Text(text.clone())),
        ResponsesInput::Items(items) => {
            for (at, item) in items.iter().enumerate() {
                reader.add_item(item, at)?;
            }
        }
    }
    let unsaid = request.extra.keys().map(String::as_str);
    note_left_out(
        "request",
        unsaid.filter(|name| !SETTLED_FIELDS.contains(name)),
    );
    Ok(reader.conversation)
}

/// Tools that the vendor runs are left out.
fn add_tools(out: &mut Vec<ConversationTool>, tools: &[ResponsesTool], namespace: Option<&str>) {
    for tool in tools {
        let (name, description, input) = match tool {
            ResponsesTool::Function(tool) => {
                let (schema, strict) = (tool.parameters.clone(), tool.strict);
                let input = ToolInput::Object { schema, strict };
                (&tool.name, &tool.description, input)
            }
            ResponsesTool::Custom(tool) => {
                let format = tool.format.clone();
                (
                    &tool.name,
                    &tool.description,
                    ToolInput::Freeform { format },
                )
            }
            ResponsesTool::Namespace(group) => {
                add_tools(out, &group.tools, Some(&group.name));
                continue;
            }
            ResponsesTool::Other(_) => {
                note_left_out("tools", [tool.kind()]);
                continue;
            }
        };
        out.push(ConversationTool {
            name: ToolName {
                namespace: namespace.map(str::to_owned),
                name: name.clone(),
            },
            description: description.clone(),
            input,
            cache: None,
        });
    }
}

fn tool_choice(
    request: &ResponsesRequest,
    tools: &[ConversationTool],
) -> Result<Option<CallChoice>, ConversationError> {
    let named = match &request.tool_choice {
        None => return Ok(None),
        Some(ResponsesToolChoice::Mode(_)) if tools.is_empty() => return Ok(None),
        Some(ResponsesToolChoice::Mode(ToolMode::Auto)) => return Ok(Some(CallChoice::Free)),
        Some(ResponsesToolChoice::Mode(ToolMode::Required)) => {
            return Ok(Some(CallChoice::Required));
        }
        Some(ResponsesToolChoice::Mode(ToolMode::None)) => return Ok(Some(CallChoice::Forbidden)),
        Some(ResponsesToolChoice::Named(named)) => named,
    };
    match (named.kind.as_str(), &named.name) {
        ("function" | "custom", Some(name)) => Ok(Some(CallChoice::Tool(ToolName {
            namespace: named.namespace.clone(),
            name: name.clone(),
        }))),
        ("allowed_tools", _) => Err(unsayable("allowed_tools", "tool_choice")),
        (kind, _) => Err(ConversationError::VendorTool {
            name: kind.to_owned(),
        }),
    }
}

fn answer_shape(format: &TextFormat) -> Option<AnswerShape> {
    match format {
        TextFormat::JsonObject(_) => Some(AnswerShape::JsonObject),
        TextFormat::JsonSchema(schema) => Some(AnswerShape::JsonSchema {
            name: Some(schema.name.clone()),
            schema: schema.schema.clone(),
            strict: schema.strict,
        }),
        TextFormat::Text(_) | TextFormat::Other(_) => None,
    }
}

fn unsayable(kind: &str, at: &str) -> ConversationError {
    ConversationError::Part {
        kind: kind.to_owned(),
        at: at.to_owned(),
    }
}

struct ItemReader {
    conversation: Conversation,
    /// Whether anybody but the instructions has spoken.
    spoken: bool,
}

impl ItemReader {
    fn add_item(&mut self, item: &ResponsesItem, at: usize) -> Result<(), ConversationError> {
        let place = format!("input[{at}]");
        match item {
            ResponsesItem::Message(message) => return self.add_message(message, &place),
            ResponsesItem::FunctionCall(call) => {
                let tool = ToolName {
                    namespace: call.namespace.clone(),
                    name: call.name.clone(),
                };
                let input = ToolCallInput::Json(call.arguments.clone());
                let id = call.call_id.clone();
                self.push(
                    TurnRole::Model,
                    PartKind::Call(CallPart { id, tool, input }),
                );
            }
            ResponsesItem::CustomToolCall(call) => {
                let tool = ToolName {
                    namespace: call.namespace.clone(),
                    name: call.name.clone(),
                };
                let input = ToolCallInput::Freeform(call.input.clone());
                let id = call.call_id.clone();
                self.push(
                    TurnRole::Model,
                    PartKind::Call(CallPart { id, tool, input }),
                );
            }
            ResponsesItem::FunctionCallOutput(output) => self.add_output(output, false, &place)?,
            ResponsesItem::CustomToolCallOutput(output) => self.add_output(output, true, &place)?,
            ResponsesItem::Reasoning(item) => {
                self.push(TurnRole::Model, PartKind::Reasoning(reasoning_part(item)));
            }
            ResponsesItem::Other(_) => match item.kind() {
                "item_reference" => {
                    let field = "item_reference";
                    return Err(ConversationError::KeptElsewhere { field });
                }
                // The conversation so far, in a form that only its maker reads.
                kind if kind.starts_with("compaction") => return Err(unsayable(kind, &place)),
                kind => note_left_out(&place, [kind]),
            },
        }
        self.spoken = true;
        Ok(())
    }

    fn add_message(&mut self, message: &MessageItem, place: &str) -> Result<(), ConversationError> {
        let parts = content_parts(&message.content, place)?;
        let role = match message.role {
            ItemRole::User => TurnRole::User,
            ItemRole::Assistant => TurnRole::Model,
            ItemRole::Developer | ItemRole::System => TurnRole::Instructions,
            ItemRole::Other(_) => return Err(unsayable(message.role.as_str(), place)),
        };
        self.spoken |= role != TurnRole::Instructions;
        for kind in parts {
            match kind {
                PartKind::Text(text) if !self.spoken => {
                    let cache = None;
                    let text = InstructionText { text, cache };
                    self.conversation.instructions.push(text);
                }
                kind => self.push(role, kind),
            }
        }
        Ok(())
    }

    fn add_output(
        &mut self,
        output: &CallOutputItem,
        freeform: bool,
        place: &str,
    ) -> Result<(), ConversationError> {
        let part = ResultPart {
            call_id: output.call_id.clone(),
            parts: content_parts(&output.output, place)?,
            is_error: false,
            freeform,
        };
        self.push(TurnRole::User, PartKind::Result(part));
        Ok(())
    }

    fn push(&mut self, role: TurnRole, kind: PartKind) {
        self.conversation
            .push_part(role, TurnPart::without_mark(kind));
    }
}

fn content_parts(content: &ItemContent, place: &str) -> Result<Vec<PartKind>, ConversationError> {
    let parts = match content {
        ItemContent::Text(text) => return Ok(vec![PartKind::Text(text.clone())]),
        ItemContent::Parts(parts) => parts,
    };
    let kinds = parts.iter().enumerate().map(|(index, part)| {
        let at = format!("{place}.content[{index}]");
        Ok(match part {
            ItemPart::InputText(part) | ItemPart::OutputText(part) => {
                PartKind::Text(part.text.clone())
            }
            ItemPart::Refusal(part) => PartKind::Text(part.refusal.clone()),
            ItemPart::InputImage(part) => match &part.image_url {
                Some(url) => PartKind::Image(MediaSource::from_url(url)),
                None => return Err(unsayable("input_image by file_id", &at)),
            },
            ItemPart::InputFile(part) => {
                let source = match (&part.file_data, &part.file_url) {
                    (Some(data), _) => MediaSource::from_url(data),
                    (None, Some(url)) => MediaSource::Address(url.clone()),
                    (None, None) => return Err(unsayable("input_file by file_id", &at)),
                };
                let name = part.filename.clone();
                PartKind::Document(DocumentPart { name, source })
            }
            ItemPart::Other(_) => return Err(unsayable(part.kind(), &at)),
        })
    });
    kinds.collect()
}

fn reasoning_part(item: &ReasoningItem) -> ReasoningPart {
    let texts: Vec<&str> = item.summary.iter().map(|text| text.text.as_str()).collect();
    let sealed = item.encrypted_content.as_deref();
    let seal = sealed.and_then(ReasoningSeal::from_text);
    ReasoningPart {
        text: texts.join("\n\n"),
        seal: Some(seal.unwrap_or_else(|| ReasoningSeal {
            maker: None,
            dialect: Dialect::Responses,
            payload: serde_json::to_value(item).unwrap_or_default(),
        })),
    }
}
