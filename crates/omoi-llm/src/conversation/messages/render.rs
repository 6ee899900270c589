//! To a request of Anthropic Messages.

use serde_json::{Value, json};

use super::open_calls::close_open_calls;
use crate::conversation::{
    AnswerShape, CacheLife, CallChoice, Conversation, ConversationError, ConversationTool,
    ConversationTurn, DialectQuirks, MediaSource, PartKind, ReasoningPart, ResultPart, TargetModel,
    ToolCallInput, ToolInput, ToolNames, TurnRole, note_left_out, thinking_fields,
};
use crate::wire::Extra;
use crate::wire::anthropic::{
    Base64Source, ContentBlock, ConversationMessage, ImageBlock, ImageSource, MessageContent,
    MessageRole, MessagesRequest, MessagesTool, OutputConfig, OutputFormat, RedactedThinkingBlock,
    RequestMetadata, TextBlock, ThinkingBlock, ToolChoice, UrlSource,
};
use crate::wire::carried_reasoning::CarriedReasoning;
use crate::wire::dialect::Dialect;
use crate::wire::round_entry::{RoundEntry, RoundReader, enter_round};

/// Writes `conversation` for `target`.
///
/// # Errors
/// Returns [`ConversationError`] for what this dialect cannot say.
pub(crate) fn request_of(
    conversation: &Conversation,
    target: &TargetModel<'_>,
) -> Result<MessagesRequest, ConversationError> {
    let names = ToolNames::of_conversation(conversation);
    let writer = MessagesRequestWriter {
        conversation,
        target,
        names: &names,
    };
    let mut messages = writer.messages()?;
    close_open_calls(&mut messages);
    let tokens = conversation.output_tokens_max;
    let mut request = MessagesRequest::new(
        conversation.model.clone(),
        tokens.unwrap_or(target.output_tokens_max),
        messages,
    );
    let system = writer.system_blocks();
    request.system = (!system.is_empty()).then_some(MessageContent::Blocks(system));
    request.tools = writer.tools();
    request.tool_choice = writer.tool_choice();
    request.stream = conversation.stream;
    request.stop_sequences.clone_from(&conversation.stop_texts);
    if target.quirks.takes_sampling {
        request.temperature = conversation.sampling.temperature.map(|t| t.min(1.0));
        request.top_p = conversation.sampling.top_p;
        request.top_k = conversation.sampling.top_k;
    }
    let user_id = conversation.end_user.clone();
    request.metadata = user_id.map(|user_id| RequestMetadata {
        user_id: Some(user_id),
        extra: Extra::new(),
    });
    add_thinking(&mut request, conversation, &target.quirks);
    if let Some(AnswerShape::JsonSchema { schema, .. }) = &conversation.answer_shape {
        let schema = schema.clone();
        let format = Some(OutputFormat::JsonSchema { schema });
        request.output_config.get_or_insert_default().format = format;
    }
    if target.quirks.wants_cache_marks && !conversation.has_cache_marks() {
        mark_prefix(&mut request);
    }
    let verbosity = conversation.verbosity.as_ref().map(|_| "verbosity");
    note_left_out("request", verbosity);
    Ok(request)
}

struct MessagesRequestWriter<'a> {
    conversation: &'a Conversation,
    target: &'a TargetModel<'a>,
    names: &'a ToolNames,
}

impl MessagesRequestWriter<'_> {
    fn system_blocks(&self) -> Vec<ContentBlock> {
        let texts = self.conversation.instructions.iter();
        let texts = texts.map(|text| (text.text.as_str(), text.cache));
        let json = matches!(
            self.conversation.answer_shape,
            Some(AnswerShape::JsonObject)
        );
        let shape = json.then_some(("Answer with one JSON object and nothing else.", None));
        texts
            .chain(shape)
            .filter(|(text, _)| !text.trim().is_empty())
            .map(|(text, cache)| marked(ContentBlock::text(text), cache))
            .collect()
    }

    fn tools(&self) -> Vec<MessagesTool> {
        let tools = self.conversation.tools.iter();
        tools.map(|tool| self.messages_tool(tool)).collect()
    }

    fn messages_tool(&self, tool: &ConversationTool) -> MessagesTool {
        let (schema, description) = match &tool.input {
            ToolInput::Object { schema, .. } => (schema.clone(), tool.description.clone()),
            ToolInput::Freeform { .. } => (
                Some(tool.freeform_schema()),
                Some(tool.freeform_description()),
            ),
        };
        let mut extra = Extra::new();
        if let ToolInput::Object {
            strict: Some(true), ..
        } = tool.input
        {
            extra.insert("strict".to_owned(), Value::Bool(true));
        }
        insert_mark(&mut extra, tool.cache);
        MessagesTool {
            kind: None,
            name: self.names.flat_name(&tool.name),
            description,
            input_schema: Some(schema.unwrap_or_else(|| json!({"type": "object"}))),
            extra,
        }
    }

    fn tool_choice(&self) -> Option<ToolChoice> {
        if self.conversation.tools.is_empty() {
            return None;
        }
        let one_only = self.conversation.parallel_calls.map(|many| !many);
        let disable_parallel_tool_use = one_only.filter(|one_only| *one_only);
        match &self.conversation.tool_choice {
            None if disable_parallel_tool_use.is_none() => None,
            None | Some(CallChoice::Free) => Some(ToolChoice::Auto {
                disable_parallel_tool_use,
            }),
            Some(CallChoice::Required) => Some(ToolChoice::Any {
                disable_parallel_tool_use,
            }),
            Some(CallChoice::Forbidden) => Some(ToolChoice::None {}),
            Some(CallChoice::Tool(name)) => Some(ToolChoice::Tool {
                name: self.names.flat_name(name),
                disable_parallel_tool_use,
            }),
        }
    }

    fn messages(&self) -> Result<Vec<ConversationMessage>, ConversationError> {
        let mut messages: Vec<ConversationMessage> = Vec::new();
        for (at, turn) in self.conversation.turns.iter().enumerate() {
            let role = match turn.role {
                TurnRole::User => MessageRole::User,
                TurnRole::Model => MessageRole::Assistant,
                // They take part in `system`.
                TurnRole::Instructions => continue,
            };
            let blocks = self.blocks(turn, at)?;
            if !blocks.is_empty() {
                messages.push(ConversationMessage {
                    role,
                    content: MessageContent::Blocks(blocks),
                    extra: Extra::new(),
                });
            }
        }
        for message in &mut messages {
            if let MessageContent::Blocks(blocks) = &mut message.content {
                // The vendor wants them ahead of other content; the sort keeps their order.
                blocks.sort_by_key(|block| {
                    message.role == MessageRole::User
                        && !matches!(block, ContentBlock::ToolResult(_))
                });
            }
        }
        Ok(messages)
    }

    fn blocks(
        &self,
        turn: &ConversationTurn,
        at: usize,
    ) -> Result<Vec<ContentBlock>, ConversationError> {
        let mut blocks = Vec::new();
        for (index, part) in turn.parts.iter().enumerate() {
            let at = format!("turn {at}, part {index}");
            if let Some(block) = self.block(&part.kind, &at)? {
                blocks.push(marked(block, part.cache));
            }
        }
        Ok(blocks)
    }

    fn block(&self, kind: &PartKind, at: &str) -> Result<Option<ContentBlock>, ConversationError> {
        Ok(match kind {
            PartKind::Text(text) if text.trim().is_empty() => None,
            PartKind::Text(text) => Some(ContentBlock::text(text)),
            PartKind::Image(source) => Some(image_block(source)),
            PartKind::Document(document) => Some(ContentBlock::Other(document_map(
                document.name.as_deref(),
                &document.source,
            ))),
            PartKind::Call(call) => {
                let input = match &call.input {
                    ToolCallInput::Json(text) => serde_json::from_str::<Value>(text).ok(),
                    ToolCallInput::Freeform(text) => Some(json!({"input": text})),
                };
                // The vendor takes objects alone; input that is none was answered with an error.
                let input = input.filter(Value::is_object).unwrap_or_else(|| json!({}));
                let name = self.names.flat_name(&call.tool);
                Some(ContentBlock::tool_use(&call.id, name, input))
            }
            PartKind::Result(result) => Some(self.result_block(result, at)?),
            PartKind::Reasoning(part) => self.reasoning_block(part),
        })
    }

    fn result_block(
        &self,
        result: &ResultPart,
        at: &str,
    ) -> Result<ContentBlock, ConversationError> {
        let mut blocks = Vec::new();
        for kind in &result.parts {
            blocks.extend(self.block(kind, at)?);
        }
        Ok(ContentBlock::tool_result(
            &result.call_id,
            blocks,
            result.is_error,
        ))
    }

    fn reasoning_block(&self, part: &ReasoningPart) -> Option<ContentBlock> {
        let seal = part.seal.as_ref()?;
        if !seal.is_readable_by(Dialect::Messages, self.target.maker) {
            return None;
        }
        let field = |name: &str| seal.payload.get(name)?.as_str().map(str::to_owned);
        if let Some(data) = field("data") {
            let extra = Extra::new();
            return Some(ContentBlock::RedactedThinking(RedactedThinkingBlock {
                data,
                extra,
            }));
        }
        Some(ContentBlock::Thinking(ThinkingBlock {
            thinking: field("thinking")?,
            signature: field("signature")?,
            extra: Extra::new(),
        }))
    }
}

fn image_block(source: &MediaSource) -> ContentBlock {
    let source = match source {
        MediaSource::Inline { media_type, base64 } => ImageSource::Base64(Base64Source {
            media_type: media_type.clone(),
            data: base64.clone(),
        }),
        MediaSource::Address(url) => ImageSource::Url(UrlSource { url: url.clone() }),
    };
    ContentBlock::Image(ImageBlock {
        source,
        extra: Extra::new(),
    })
}

fn document_map(name: Option<&str>, source: &MediaSource) -> Extra {
    let source = match source {
        MediaSource::Inline { media_type, base64 } => {
            json!({"type": "base64", "media_type": media_type, "data": base64})
        }
        MediaSource::Address(url) => json!({"type": "url", "url": url}),
    };
    let title = name.map(|name| ("title".to_owned(), Value::from(name)));
    [
        ("type".to_owned(), Value::from("document")),
        ("source".to_owned(), source),
    ]
    .into_iter()
    .chain(title)
    .collect()
}

fn add_thinking(
    request: &mut MessagesRequest,
    conversation: &Conversation,
    quirks: &DialectQuirks,
) {
    let wanted = &conversation.thinking;
    let mut fields = thinking_fields(
        quirks.thinking,
        Dialect::Messages,
        wanted,
        request.max_tokens,
    );
    if fields.is_empty() {
        note_left_out("request", wanted.effort_level().map(|_| "effort"));
        return;
    }
    // The vendor refuses thoughts ahead of a call that it is told to make, sampling settings with them, and a
    // budget of them in a round that began without.
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. })
    );
    let thinking = fields.shift_remove("thinking").unwrap_or_default();
    let by_budget = thinking["type"] == "enabled";
    let is_refused = forced || goes_on_without_thinking(request, by_budget);
    if !is_refused {
        if thinking["type"] != "disabled" {
            (request.temperature, request.top_p, request.top_k) = (None, None, None);
        }
        request.extra.insert("thinking".to_owned(), thinking);
    }
    if let Some(Value::Object(config)) = fields.shift_remove("output_config") {
        request.output_config = Some(OutputConfig {
            extra: config,
            ..OutputConfig::default()
        });
    }
}

fn goes_on_without_thinking(request: &MessagesRequest, thinks_by_budget: bool) -> bool {
    let body = json!({"messages": request.messages});
    let round = CarriedReasoning::of_body(Dialect::Messages, &body).round;
    let reader = RoundReader::Messages { thinks_by_budget };
    round.is_some_and(|round| enter_round(&round, reader) == RoundEntry::WithoutThinking)
}

/// Whoever asks in a dialect that caches by itself sets no marks, and this one caches nothing without.
fn mark_prefix(request: &mut MessagesRequest) {
    if let Some(MessageContent::Blocks(blocks)) = &mut request.system
        && let Some(ContentBlock::Text(TextBlock { extra, .. })) = blocks.last_mut()
    {
        insert_mark(extra, Some(CacheLife::Minutes));
    }
    let last = request.messages.last_mut();
    if let Some(MessageContent::Blocks(blocks)) = last.map(|message| &mut message.content)
        && let Some(block) = blocks.pop()
    {
        blocks.push(marked(block, Some(CacheLife::Minutes)));
    }
}

fn marked(mut block: ContentBlock, cache: Option<CacheLife>) -> ContentBlock {
    let extra = match &mut block {
        ContentBlock::Text(block) => &mut block.extra,
        ContentBlock::ToolUse(block) => &mut block.extra,
        ContentBlock::ToolResult(block) => &mut block.extra,
        ContentBlock::Image(block) => &mut block.extra,
        ContentBlock::Other(map) => map,
        // Reasoning takes no mark.
        ContentBlock::Thinking(_) | ContentBlock::RedactedThinking(_) => return block,
    };
    insert_mark(extra, cache);
    block
}

fn insert_mark(extra: &mut Extra, cache: Option<CacheLife>) {
    let mark = match cache {
        None => return,
        Some(CacheLife::Minutes) => json!({"type": "ephemeral"}),
        Some(CacheLife::Hour) => json!({"type": "ephemeral", "ttl": "1h"}),
    };
    extra.insert("cache_control".to_owned(), mark);
}
