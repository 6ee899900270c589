//! From a request of Anthropic Messages.

use serde_json::Value;

use crate::conversation::{
    AnswerShape, CacheLife, CallChoice, CallPart, Conversation, ConversationError,
    ConversationTool, DocumentPart, EffortLevel, InstructionText, MediaSource, PartKind,
    ReasoningPart, ReasoningSeal, ResultPart, SamplingSettings, ThinkingSettings, ToolCallInput,
    ToolInput, ToolName, TurnPart, TurnRole, note_left_out,
};
use crate::wire::Extra;
use crate::wire::anthropic::{
    ContentBlock, ConversationMessage, ImageSource, MessageContent, MessageRole, MessagesRequest,
    OutputFormat, ThinkingBlock, ToolChoice, ToolResultBlock,
};
use crate::wire::dialect::Dialect;

/// Reads `request`.
///
/// # Errors
/// Returns [`ConversationError`] for what has no counterpart elsewhere.
pub(crate) fn conversation_of(
    request: &MessagesRequest,
) -> Result<Conversation, ConversationError> {
    let (tool_choice, parallel_calls) = tool_choice(request.tool_choice.as_ref());
    let mut conversation = Conversation {
        model: request.model.clone(),
        instructions: instructions(request)?,
        tool_choice,
        parallel_calls,
        output_tokens_max: Some(request.max_tokens),
        sampling: SamplingSettings {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
        },
        stop_texts: request.stop_sequences.clone(),
        answer_shape: answer_shape(request),
        thinking: thinking_settings(request),
        end_user: request.metadata.as_ref().and_then(|m| m.user_id.clone()),
        stream: request.stream,
        ..Conversation::default()
    };
    add_tools(request, &mut conversation)?;
    for (at, message) in request.messages.iter().enumerate() {
        add_message(&mut conversation, message, at)?;
    }
    let known = ["thinking"];
    let unsaid = request.extra.keys().map(String::as_str);
    note_left_out("request", unsaid.filter(|name| !known.contains(name)));
    Ok(conversation)
}

fn instructions(request: &MessagesRequest) -> Result<Vec<InstructionText>, ConversationError> {
    let blocks = match &request.system {
        None => return Ok(Vec::new()),
        Some(MessageContent::Text(text)) => {
            let (text, cache) = (text.clone(), None);
            return Ok(vec![InstructionText { text, cache }]);
        }
        Some(MessageContent::Blocks(blocks)) => blocks,
    };
    let texts = blocks.iter().enumerate().map(|(index, block)| match block {
        ContentBlock::Text(block) => Ok(InstructionText {
            text: block.text.clone(),
            cache: cache_life(&block.extra),
        }),
        other => Err(unsayable(other.kind(), &format!("system[{index}]"))),
    });
    texts.collect()
}

fn unsayable(kind: &str, at: &str) -> ConversationError {
    ConversationError::Part {
        kind: kind.to_owned(),
        at: at.to_owned(),
    }
}

fn cache_life(extra: &Extra) -> Option<CacheLife> {
    let mark = extra.get("cache_control").filter(|mark| mark.is_object())?;
    Some(match mark.get("ttl").and_then(Value::as_str) {
        Some("1h") => CacheLife::Hour,
        _ => CacheLife::Minutes,
    })
}

fn tool_choice(choice: Option<&ToolChoice>) -> (Option<CallChoice>, Option<bool>) {
    let (choice, one_only) = match choice {
        None => return (None, None),
        Some(ToolChoice::Auto {
            disable_parallel_tool_use,
        }) => (CallChoice::Free, disable_parallel_tool_use),
        Some(ToolChoice::Any {
            disable_parallel_tool_use,
        }) => (CallChoice::Required, disable_parallel_tool_use),
        Some(ToolChoice::Tool {
            name,
            disable_parallel_tool_use,
        }) => (
            CallChoice::Tool(ToolName::without_group(name)),
            disable_parallel_tool_use,
        ),
        Some(ToolChoice::None {}) => (CallChoice::Forbidden, &None),
    };
    (Some(choice), one_only.map(|one_only| !one_only))
}

fn answer_shape(request: &MessagesRequest) -> Option<AnswerShape> {
    let OutputFormat::JsonSchema { schema } = request.output_config.as_ref()?.format.as_ref()?;
    let name = schema.get("title").and_then(Value::as_str);
    Some(AnswerShape::JsonSchema {
        name: name.map(str::to_owned),
        schema: schema.clone(),
        strict: None,
    })
}

fn thinking_settings(request: &MessagesRequest) -> ThinkingSettings {
    let thinking = request.extra.get("thinking");
    let kind = thinking.and_then(|t| t.get("type")).and_then(Value::as_str);
    let budget = thinking.and_then(|t| t.get("budget_tokens")?.as_u64());
    let output = request.output_config.as_ref();
    let effort = output.and_then(|output| output.extra.get("effort")?.as_str());
    ThinkingSettings {
        effort: effort.and_then(EffortLevel::from_word),
        budget_tokens: budget.and_then(|tokens| u32::try_from(tokens).ok()),
        enabled: kind.map(|kind| kind != "disabled"),
        summary: None,
    }
}

/// Tools that the vendor runs are left out, unless one of them must be called.
fn add_tools(
    request: &MessagesRequest,
    conversation: &mut Conversation,
) -> Result<(), ConversationError> {
    for tool in &request.tools {
        if tool.is_custom() {
            conversation.tools.push(ConversationTool {
                name: ToolName::without_group(&tool.name),
                description: tool.description.clone(),
                input: ToolInput::Object {
                    schema: tool.input_schema.clone(),
                    strict: tool.extra.get("strict").and_then(Value::as_bool),
                },
                cache: cache_life(&tool.extra),
            });
            continue;
        }
        if conversation.tool_choice == Some(CallChoice::Tool(ToolName::without_group(&tool.name))) {
            let name = tool.name.clone();
            return Err(ConversationError::VendorTool { name });
        }
        note_left_out("tools", [tool.name.as_str()]);
    }
    if conversation.tools.is_empty() {
        // Nothing is left to choose from.
        conversation.tool_choice = None;
        conversation.parallel_calls = None;
    }
    Ok(())
}

fn add_message(
    conversation: &mut Conversation,
    message: &ConversationMessage,
    at: usize,
) -> Result<(), ConversationError> {
    let role = match message.role {
        MessageRole::User => TurnRole::User,
        MessageRole::Assistant => TurnRole::Model,
        MessageRole::System => TurnRole::Instructions,
    };
    let blocks = match &message.content {
        MessageContent::Text(text) => {
            let part = TurnPart::without_mark(PartKind::Text(text.clone()));
            conversation.push_part(role, part);
            return Ok(());
        }
        MessageContent::Blocks(blocks) => blocks,
    };
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("messages[{at}].content[{index}]");
        if let Some(kind) = part_kind(block, role, &at)? {
            let cache = block_extra(block).and_then(cache_life);
            conversation.push_part(role, TurnPart { kind, cache });
        }
    }
    Ok(())
}

fn block_extra(block: &ContentBlock) -> Option<&Extra> {
    match block {
        ContentBlock::Text(block) => Some(&block.extra),
        ContentBlock::ToolUse(block) => Some(&block.extra),
        ContentBlock::ToolResult(block) => Some(&block.extra),
        ContentBlock::Image(block) => Some(&block.extra),
        ContentBlock::Other(map) => Some(map),
        ContentBlock::Thinking(_) | ContentBlock::RedactedThinking(_) => None,
    }
}

/// The part that `block` is; none for what the model's vendor did by itself.
fn part_kind(
    block: &ContentBlock,
    role: TurnRole,
    at: &str,
) -> Result<Option<PartKind>, ConversationError> {
    Ok(Some(match block {
        ContentBlock::Text(block) => PartKind::Text(block.text.clone()),
        ContentBlock::Image(image) => PartKind::Image(image_source(&image.source, at)?),
        ContentBlock::ToolUse(call) => PartKind::Call(CallPart {
            id: call.id.clone(),
            tool: ToolName::without_group(&call.name),
            input: ToolCallInput::Json(call.input.to_string()),
        }),
        ContentBlock::ToolResult(result) => PartKind::Result(result_part(result, at)?),
        ContentBlock::Thinking(block) => PartKind::Reasoning(thinking_part(block)),
        ContentBlock::RedactedThinking(block) => PartKind::Reasoning(ReasoningPart {
            text: String::new(),
            seal: Some(ReasoningSeal::from_text(&block.data).unwrap_or_else(|| {
                let data = serde_json::json!({"data": block.data});
                own_seal(data)
            })),
        }),
        ContentBlock::Other(map) => match (block.kind(), role) {
            ("document", _) => document_part(map, at)?,
            ("tool_reference", _) => {
                let name = map.get("tool_name").and_then(Value::as_str);
                PartKind::Text(format!("Tool `{}` is available.", name.unwrap_or_default()))
            }
            (kind, TurnRole::Model) => {
                note_left_out(at, [kind]);
                return Ok(None);
            }
            (kind, _) => return Err(unsayable(kind, at)),
        },
    }))
}

fn thinking_part(block: &ThinkingBlock) -> ReasoningPart {
    let seal = ReasoningSeal::from_text(&block.signature).unwrap_or_else(|| {
        own_seal(serde_json::json!({"thinking": block.thinking, "signature": block.signature}))
    });
    ReasoningPart {
        text: block.thinking.clone(),
        seal: Some(seal),
    }
}

/// A seal of a model that speaks this dialect; which one, the conversation does not say.
fn own_seal(payload: Value) -> ReasoningSeal {
    ReasoningSeal {
        maker: None,
        dialect: Dialect::Messages,
        payload,
    }
}

fn image_source(source: &ImageSource, at: &str) -> Result<MediaSource, ConversationError> {
    match source {
        ImageSource::Base64(source) => Ok(MediaSource::Inline {
            media_type: source.media_type.clone(),
            base64: source.data.clone(),
        }),
        ImageSource::Url(source) => Ok(MediaSource::Address(source.url.clone())),
        ImageSource::Other(_) => Err(unsayable(&format!("{} image", source.kind()), at)),
    }
}

fn document_part(map: &Extra, at: &str) -> Result<PartKind, ConversationError> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let source = map.get("source").unwrap_or(&Value::Null);
    let name = text(map.get("title"));
    let source = match source.get("type").and_then(Value::as_str) {
        Some("base64") => MediaSource::Inline {
            media_type: text(source.get("media_type")).unwrap_or_default(),
            base64: text(source.get("data")).unwrap_or_default(),
        },
        Some("url") => MediaSource::Address(text(source.get("url")).unwrap_or_default()),
        Some("text") => {
            let data = text(source.get("data")).unwrap_or_default();
            let title = name.map(|name| format!("{name}\n\n")).unwrap_or_default();
            return Ok(PartKind::Text(format!("{title}{data}")));
        }
        other => {
            let kind = format!("document by {}", other.unwrap_or("nothing"));
            return Err(unsayable(&kind, at));
        }
    };
    Ok(PartKind::Document(DocumentPart { name, source }))
}

fn result_part(result: &ToolResultBlock, at: &str) -> Result<ResultPart, ConversationError> {
    let parts = match &result.content {
        None => Vec::new(),
        Some(MessageContent::Text(text)) => vec![PartKind::Text(text.clone())],
        Some(MessageContent::Blocks(blocks)) => {
            let kinds = blocks.iter().enumerate().map(|(index, block)| {
                let at = format!("{at}.content[{index}]");
                part_kind(block, TurnRole::User, &at)
            });
            kinds
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?
        }
    };
    Ok(ResultPart {
        call_id: result.tool_use_id.clone(),
        parts,
        is_error: result.is_error == Some(true),
        freeform: false,
    })
}
