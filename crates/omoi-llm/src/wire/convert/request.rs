//! Anthropic request to OpenAI request.

use serde_json::Value;

use super::ConvertError;
use crate::wire::Extra;
use crate::wire::anthropic::{
    ContentBlock, ConversationMessage, ImageSource, MessageContent, MessageRole, MessagesRequest,
    MessagesTool, OutputFormat, ToolChoice, ToolResultBlock,
};
use crate::wire::openai::{
    AssistantMessage, ChatContent, ChatFunction, ChatMessage, ChatPart, ChatRequest, ChatTool,
    ChatToolChoice, FunctionCall, FunctionDef, FunctionName, FunctionTag, ImageUrl, ImageUrlPart,
    JsonSchemaFormat, ResponseFormat, StopTexts, StreamOptions, TextMessage, TextPart, ToolCall,
    ToolMessage, ToolMode,
};

/// Which field carries the token limit: OpenAI reads the newer, most compatible servers the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensField {
    /// Field `max_tokens`, read by most compatible servers.
    MaxTokens,
    /// Field `max_completion_tokens`, read by OpenAI itself.
    MaxCompletionTokens,
}

/// Puts an Anthropic request into OpenAI's words.
///
/// Left out: reasoning blocks and their settings, `top_k`, cache hints, unknown fields (OpenAI refuses
/// those). A failed tool result is marked in its text, as OpenAI has no flag for it; pictures inside
/// tool results move to the user message behind them.
///
/// # Errors
/// Returns [`ConvertError`] for blocks and tools that only Anthropic has.
pub fn to_chat(
    request: &MessagesRequest,
    limit: MaxTokensField,
) -> Result<ChatRequest, ConvertError> {
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if let Some(system) = &request.system {
        messages.push(ChatMessage::System(TextMessage::new(system.joined_text())));
    }
    for message in &request.messages {
        match message.role {
            MessageRole::User => push_user(&mut messages, message)?,
            MessageRole::System => {
                let text = TextMessage::new(message.content.joined_text());
                messages.push(ChatMessage::System(text));
            }
            MessageRole::Assistant => messages.push(assistant_message(message)?),
        }
    }
    let tools = request
        .tools
        .iter()
        .map(chat_tool)
        .collect::<Result<_, _>>()?;
    let max = Some(request.max_tokens);
    let older = limit == MaxTokensField::MaxTokens;
    Ok(ChatRequest {
        model: request.model.clone(),
        messages,
        tools,
        tool_choice: request.tool_choice.as_ref().map(tool_choice),
        parallel_tool_calls: request.tool_choice.as_ref().and_then(parallel_calls),
        max_tokens: max.filter(|_| older),
        max_completion_tokens: max.filter(|_| !older),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: match request.stop_sequences.as_slice() {
            [] => None,
            texts => Some(StopTexts::Many(texts.to_vec())),
        },
        stream: request.stream,
        stream_options: request.stream.then(|| StreamOptions {
            include_usage: true,
            extra: Extra::new(),
        }),
        response_format: response_format(request),
        user: request.metadata.as_ref().and_then(|m| m.user_id.clone()),
        extra: Extra::new(),
    })
}

/// Tool results come first: OpenAI wants them right behind the calls they answer.
fn push_user(
    out: &mut Vec<ChatMessage>,
    message: &ConversationMessage,
) -> Result<(), ConvertError> {
    let blocks = match &message.content {
        MessageContent::Text(text) => {
            out.push(ChatMessage::User(TextMessage::new(text.as_str())));
            return Ok(());
        }
        MessageContent::Blocks(blocks) => blocks,
    };
    let mut parts = Vec::new();
    for block in blocks {
        match block {
            ContentBlock::ToolResult(result) => out.push(tool_result(result, &mut parts)?),
            other => parts.push(chat_part(other)?),
        }
    }
    if !parts.is_empty() {
        out.push(ChatMessage::User(TextMessage::new(chat_content(parts))));
    }
    Ok(())
}

fn tool_result(
    result: &ToolResultBlock,
    pictures: &mut Vec<ChatPart>,
) -> Result<ChatMessage, ConvertError> {
    let mut texts = Vec::new();
    match &result.content {
        None => {}
        Some(MessageContent::Text(text)) => texts.push(text.clone()),
        Some(MessageContent::Blocks(blocks)) => {
            for block in blocks {
                match chat_part(block)? {
                    ChatPart::Text(text) => texts.push(text.text),
                    picture => {
                        texts.push("(the picture is in the next message)".to_owned());
                        pictures.push(picture);
                    }
                }
            }
        }
    }
    let mut text = texts.join("\n\n");
    if result.is_error == Some(true) {
        text = format!("Error: {text}");
    }
    Ok(ChatMessage::Tool(ToolMessage {
        content: ChatContent::Text(text),
        tool_call_id: result.tool_use_id.clone(),
        extra: Extra::new(),
    }))
}

fn chat_part(block: &ContentBlock) -> Result<ChatPart, ConvertError> {
    match block {
        ContentBlock::Text(block) => Ok(ChatPart::Text(TextPart {
            text: block.text.clone(),
        })),
        ContentBlock::Image(image) => {
            let url = match &image.source {
                ImageSource::Base64(s) => format!("data:{};base64,{}", s.media_type, s.data),
                ImageSource::Url(s) => s.url.clone(),
                ImageSource::Other(_) => return Err(unsupported_block(block)),
            };
            let image_url = ImageUrl { url, detail: None };
            Ok(ChatPart::ImageUrl(ImageUrlPart { image_url }))
        }
        other => Err(unsupported_block(other)),
    }
}

fn unsupported_block(block: &ContentBlock) -> ConvertError {
    ConvertError::Block {
        kind: block.kind().to_owned(),
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

fn assistant_message(message: &ConversationMessage) -> Result<ChatMessage, ConvertError> {
    let mut texts = Vec::new();
    let mut tool_calls = Vec::new();
    let blocks = match &message.content {
        MessageContent::Text(text) => {
            texts.push(text.as_str());
            &[][..]
        }
        MessageContent::Blocks(blocks) => blocks,
    };
    for block in blocks {
        match block {
            ContentBlock::Text(block) => texts.push(&block.text),
            ContentBlock::ToolUse(call) => tool_calls.push(ToolCall {
                id: call.id.clone(),
                function: Some(FunctionCall {
                    name: call.name.clone(),
                    arguments: call.input.to_string(),
                }),
                ..ToolCall::default()
            }),
            // Signed for another vendor; no one else can read it.
            ContentBlock::Thinking(_) | ContentBlock::RedactedThinking(_) => {}
            other => return Err(unsupported_block(other)),
        }
    }
    Ok(ChatMessage::Assistant(AssistantMessage {
        content: (!texts.is_empty()).then(|| ChatContent::Text(texts.join("\n\n"))),
        tool_calls,
        ..AssistantMessage::default()
    }))
}

fn chat_tool(tool: &MessagesTool) -> Result<ChatTool, ConvertError> {
    let ours = matches!(tool.kind.as_deref(), None | Some("custom"));
    match &tool.input_schema {
        Some(schema) if ours => Ok(ChatTool::Function(ChatFunction {
            function: FunctionDef {
                name: tool.name.clone(),
                description: tool.description.clone(),
                parameters: Some(schema.clone()),
                strict: None,
            },
            extra: Extra::new(),
        })),
        _ => Err(ConvertError::VendorTool {
            name: tool.name.clone(),
        }),
    }
}

fn tool_choice(choice: &ToolChoice) -> ChatToolChoice {
    match choice {
        ToolChoice::Auto { .. } => ChatToolChoice::Mode(ToolMode::Auto),
        ToolChoice::Any { .. } => ChatToolChoice::Mode(ToolMode::Required),
        ToolChoice::None {} => ChatToolChoice::Mode(ToolMode::None),
        ToolChoice::Tool { name, .. } => ChatToolChoice::Function {
            kind: FunctionTag::Function,
            function: FunctionName { name: name.clone() },
        },
    }
}

fn parallel_calls(choice: &ToolChoice) -> Option<bool> {
    match choice {
        ToolChoice::Auto {
            disable_parallel_tool_use,
        }
        | ToolChoice::Any {
            disable_parallel_tool_use,
        }
        | ToolChoice::Tool {
            disable_parallel_tool_use,
            ..
        } => disable_parallel_tool_use.map(|disabled| !disabled),
        ToolChoice::None {} => None,
    }
}

/// Not `strict`: that mode bars optional fields and most bounds, and answers are checked here anyway.
fn response_format(request: &MessagesRequest) -> Option<ResponseFormat> {
    let OutputFormat::JsonSchema { schema } = request.output_config.as_ref()?.format.as_ref()?;
    let title = schema.get("title").and_then(Value::as_str);
    let name: String = title
        .unwrap_or("answer")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(64)
        .collect();
    Some(ResponseFormat::JsonSchema {
        json_schema: JsonSchemaFormat {
            name,
            schema: schema.clone(),
            strict: None,
        },
    })
}
