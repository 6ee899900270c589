//! To a request of OpenAI Responses.

use crate::conversation::{
    AnswerShape, CallChoice, CallPart, Conversation, ConversationError, ConversationTool,
    DialectQuirks, DocumentPart, MediaSource, PartKind, ReasoningPart, ResultPart, TargetModel,
    ThinkingForm, ToolCallInput, ToolInput, ToolName, TurnRole, note_left_out,
};
use crate::wire::Extra;
use crate::wire::dialect::Dialect;
use crate::wire::openai::ToolMode;
use crate::wire::responses::{
    CallOutputItem, CustomCallItem, CustomTool, ENCRYPTED_REASONING, FunctionCallItem, ItemContent,
    ItemFile, ItemImage, ItemPart, ItemRole, ItemText, MessageItem, NamedToolChoice,
    ReasoningConfig, ReasoningItem, ResponsesFunction, ResponsesInput, ResponsesItem,
    ResponsesRequest, ResponsesTool, ResponsesToolChoice, TextConfig, TextFormat, TextSchema,
    ToolNamespace,
};

/// Writes `conversation` for `target`. The vendor keeps nothing: the whole conversation is sent each time,
/// with its reasoning.
///
/// # Errors
/// Returns [`ConversationError`] for what this dialect cannot say.
pub(crate) fn request_of(
    conversation: &Conversation,
    target: &TargetModel<'_>,
) -> Result<ResponsesRequest, ConversationError> {
    let quirks = &target.quirks;
    let texts = conversation.instructions.iter();
    let texts: Vec<&str> = texts.map(|text| text.text.as_str()).collect();
    let has_tools = !conversation.tools.is_empty();
    let parallel = conversation.parallel_calls;
    let choice = conversation.tool_choice.as_ref();
    let sampling = quirks.takes_sampling.then_some(conversation.sampling);
    if !conversation.stop_texts.is_empty() {
        return Err(ConversationError::Unsayable { field: "stop" });
    }
    let unsaid = conversation.sampling.top_k.map(|_| "top_k");
    note_left_out("request", unsaid);
    Ok(ResponsesRequest {
        model: conversation.model.clone(),
        instructions: (!texts.is_empty()).then(|| texts.join("\n\n")),
        input: ResponsesInput::Items(input_items(conversation, target)?),
        tools: response_tools(&conversation.tools),
        tool_choice: choice
            .filter(|_| has_tools)
            .map(|choice| tool_choice(choice, &conversation.tools)),
        parallel_tool_calls: parallel.filter(|_| has_tools && quirks.takes_parallel_calls),
        max_output_tokens: conversation.output_tokens_max,
        temperature: sampling.and_then(|s| s.temperature),
        top_p: sampling.and_then(|s| s.top_p),
        reasoning: reasoning_config(conversation, quirks),
        text: text_config(conversation),
        stream: conversation.stream,
        store: Some(false),
        include: vec![ENCRYPTED_REASONING.to_owned()],
        prompt_cache_key: conversation
            .cache_key
            .clone()
            .filter(|_| quirks.takes_cache_key),
        safety_identifier: conversation.end_user.clone(),
        previous_response_id: None,
        extra: Extra::new(),
    })
}

fn reasoning_config(
    conversation: &Conversation,
    quirks: &DialectQuirks,
) -> Option<ReasoningConfig> {
    let effort = conversation.thinking.effort_level();
    let effort = effort.filter(|_| quirks.thinking != ThinkingForm::Untold);
    let effort = effort.map(|level| level.openai_word().to_owned());
    // Whoever wants to see thoughts in another dialect just switches them on.
    let shown = (conversation.thinking.enabled == Some(true)).then(|| "auto".to_owned());
    let summary = conversation.thinking.summary.clone().or(shown);
    (effort.is_some() || summary.is_some()).then(|| ReasoningConfig {
        effort,
        summary,
        extra: Extra::new(),
    })
}

fn text_config(conversation: &Conversation) -> Option<TextConfig> {
    let format = conversation.answer_shape.as_ref().map(|shape| match shape {
        AnswerShape::JsonObject => TextFormat::JsonObject(Extra::new()),
        AnswerShape::JsonSchema { schema, strict, .. } => TextFormat::JsonSchema(TextSchema {
            name: shape.schema_name(),
            schema: schema.clone(),
            strict: Some(strict.unwrap_or(false)),
            extra: Extra::new(),
        }),
    });
    let verbosity = conversation.verbosity.clone();
    (format.is_some() || verbosity.is_some()).then(|| TextConfig {
        format,
        verbosity,
        extra: Extra::new(),
    })
}

/// Tools of one group stand together, where the first of them stood.
fn response_tools(tools: &[ConversationTool]) -> Vec<ResponsesTool> {
    let mut out: Vec<ResponsesTool> = Vec::new();
    for tool in tools {
        let written = response_tool(tool);
        let Some(namespace) = &tool.name.namespace else {
            out.push(written);
            continue;
        };
        let group = out.iter_mut().find_map(|known| match known {
            ResponsesTool::Namespace(group) if group.name == *namespace => Some(group),
            _ => None,
        });
        match group {
            Some(group) => group.tools.push(written),
            None => out.push(ResponsesTool::Namespace(ToolNamespace {
                name: namespace.clone(),
                description: None,
                tools: vec![written],
                extra: Extra::new(),
            })),
        }
    }
    out
}

fn response_tool(tool: &ConversationTool) -> ResponsesTool {
    let (name, description) = (tool.name.name.clone(), tool.description.clone());
    match &tool.input {
        ToolInput::Object { schema, strict } => ResponsesTool::Function(ResponsesFunction {
            name,
            description,
            parameters: schema.clone(),
            // The default enforces the schema, which bars optional fields.
            strict: Some(strict.unwrap_or(false)),
            extra: Extra::new(),
        }),
        ToolInput::Freeform { format } => ResponsesTool::Custom(CustomTool {
            name,
            description,
            format: format.clone(),
            extra: Extra::new(),
        }),
    }
}

fn tool_choice(choice: &CallChoice, tools: &[ConversationTool]) -> ResponsesToolChoice {
    let is_freeform = |name: &ToolName| {
        let tool = tools.iter().find(|tool| tool.name == *name);
        tool.is_some_and(|tool| matches!(tool.input, ToolInput::Freeform { .. }))
    };
    match choice {
        CallChoice::Free => ResponsesToolChoice::Mode(ToolMode::Auto),
        CallChoice::Required => ResponsesToolChoice::Mode(ToolMode::Required),
        CallChoice::Forbidden => ResponsesToolChoice::Mode(ToolMode::None),
        CallChoice::Tool(name) => ResponsesToolChoice::Named(NamedToolChoice {
            kind: match is_freeform(name) {
                true => "custom".to_owned(),
                false => "function".to_owned(),
            },
            name: Some(name.name.clone()),
            namespace: name.namespace.clone(),
            extra: Extra::new(),
        }),
    }
}

fn input_items(
    conversation: &Conversation,
    target: &TargetModel<'_>,
) -> Result<Vec<ResponsesItem>, ConversationError> {
    let mut items = Vec::new();
    for (at, turn) in conversation.turns.iter().enumerate() {
        let mut writer = TurnWriter {
            role: turn.role,
            target,
            at: format!("turn {at}"),
            said: Vec::new(),
            items: &mut items,
        };
        for part in &turn.parts {
            writer.add_part(&part.kind)?;
        }
        writer.flush_message();
    }
    Ok(items)
}

/// Writes the items of one turn; what is said between other items becomes one message.
struct TurnWriter<'a> {
    role: TurnRole,
    target: &'a TargetModel<'a>,
    at: String,
    said: Vec<ItemPart>,
    items: &'a mut Vec<ResponsesItem>,
}

impl TurnWriter<'_> {
    fn add_part(&mut self, kind: &PartKind) -> Result<(), ConversationError> {
        let item = match kind {
            PartKind::Text(text) if text.is_empty() => return Ok(()),
            PartKind::Text(_) | PartKind::Image(_) | PartKind::Document(_) => {
                self.said.extend(self.item_part(kind)?);
                return Ok(());
            }
            PartKind::Call(call) => call_item(call),
            PartKind::Result(result) => self.output_item(result)?,
            PartKind::Reasoning(part) => match self.reasoning_item(part) {
                Some(item) => item,
                None => return Ok(()),
            },
        };
        self.flush_message();
        self.items.push(item);
        Ok(())
    }

    fn flush_message(&mut self) {
        if self.said.is_empty() {
            return;
        }
        self.items.push(ResponsesItem::Message(MessageItem {
            id: None,
            role: match self.role {
                TurnRole::User => ItemRole::User,
                TurnRole::Model => ItemRole::Assistant,
                TurnRole::Instructions => ItemRole::Developer,
            },
            status: None,
            content: ItemContent::Parts(std::mem::take(&mut self.said)),
            extra: Extra::new(),
        }));
    }

    fn item_part(&self, kind: &PartKind) -> Result<Option<ItemPart>, ConversationError> {
        Ok(match kind {
            PartKind::Text(text) => {
                let (text, extra) = (text.clone(), Extra::new());
                let text = ItemText { text, extra };
                Some(match self.role {
                    TurnRole::Model => ItemPart::OutputText(text),
                    TurnRole::User | TurnRole::Instructions => ItemPart::InputText(text),
                })
            }
            PartKind::Image(source) => Some(ItemPart::InputImage(ItemImage {
                image_url: Some(source.to_url()),
                detail: Some("auto".to_owned()),
                extra: Extra::new(),
            })),
            PartKind::Document(document) => Some(ItemPart::InputFile(self.file(document)?)),
            PartKind::Call(_) | PartKind::Result(_) | PartKind::Reasoning(_) => None,
        })
    }

    fn file(&self, document: &DocumentPart) -> Result<ItemFile, ConversationError> {
        if !self.target.quirks.takes_documents {
            return Err(ConversationError::Document {
                media_type: document.source.media_type().to_owned(),
                at: self.at.clone(),
            });
        }
        let name = document.name.as_deref().unwrap_or("document.pdf");
        Ok(match &document.source {
            MediaSource::Inline { .. } => ItemFile {
                filename: Some(name.to_owned()),
                file_data: Some(document.source.to_url()),
                ..ItemFile::default()
            },
            MediaSource::Address(url) => ItemFile {
                file_url: Some(url.clone()),
                ..ItemFile::default()
            },
        })
    }

    /// A failed result is marked in its text, as there is no flag for it.
    fn output_item(&self, result: &ResultPart) -> Result<ResponsesItem, ConversationError> {
        let mut parts = Vec::new();
        let mark = result.is_error.then(|| PartKind::Text("Error:".to_owned()));
        for kind in mark.iter().chain(&result.parts) {
            parts.extend(self.item_part(kind)?);
        }
        let only_words = parts.iter().all(|p| matches!(p, ItemPart::InputText(_)));
        let output = match only_words {
            true => ItemContent::Text(joined_words(&parts, result.is_error)),
            false => ItemContent::Parts(parts),
        };
        let item = CallOutputItem {
            id: None,
            call_id: result.call_id.clone(),
            output,
            extra: Extra::new(),
        };
        Ok(match result.freeform {
            true => ResponsesItem::CustomToolCallOutput(item),
            false => ResponsesItem::FunctionCallOutput(item),
        })
    }

    fn reasoning_item(&self, part: &ReasoningPart) -> Option<ResponsesItem> {
        let seal = part.seal.as_ref()?;
        if !seal.is_readable_by(Dialect::Responses, self.target.maker) {
            return None;
        }
        let item: ReasoningItem = serde_json::from_value(seal.payload.clone()).ok()?;
        // Without it the vendor would look for what it was told not to keep.
        item.encrypted_content.as_ref()?;
        Some(ResponsesItem::Reasoning(item))
    }
}

fn joined_words(parts: &[ItemPart], is_error: bool) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        ItemPart::InputText(text) => Some(text.text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    match (is_error, texts.split_first()) {
        (true, Some((mark, rest))) => format!("{mark} {}", rest.join("\n\n")),
        _ => texts.join("\n\n"),
    }
}

fn call_item(call: &CallPart) -> ResponsesItem {
    let (namespace, name) = (call.tool.namespace.clone(), call.tool.name.clone());
    let call_id = call.id.clone();
    match &call.input {
        ToolCallInput::Json(text) => ResponsesItem::FunctionCall(FunctionCallItem {
            id: None,
            call_id,
            name,
            namespace,
            arguments: match text.trim() {
                "" => "{}".to_owned(),
                _ => text.clone(),
            },
            status: None,
            extra: Extra::new(),
        }),
        ToolCallInput::Freeform(text) => ResponsesItem::CustomToolCall(CustomCallItem {
            id: None,
            call_id,
            name,
            namespace,
            input: text.clone(),
            status: None,
            extra: Extra::new(),
        }),
    }
}
