//! How a typed answer is asked for, read and sent back.

use serde_json::Value;

use super::{ANSWER_TOOL, TypedQuestion};
use crate::route::AnswerMode;
use crate::schema::SchemaViolation;
use crate::wire::Extra;
use crate::wire::answer::ModelAnswer;
use crate::wire::anthropic::{
    ContentBlock, ConversationMessage, MessageContent, MessagesRequest, MessagesTool, OutputConfig,
    OutputFormat, StopReason, ToolChoice,
};

/// The question in the way of `mode`, for an answer that fits `schema`.
pub(super) fn first_request(
    question: &TypedQuestion,
    schema: &Value,
    mode: AnswerMode,
) -> MessagesRequest {
    let prompt = ConversationMessage::from_user(question.prompt.as_str());
    let mut request = MessagesRequest::new("", question.max_tokens, vec![prompt]);
    request.system = question.system.clone().map(MessageContent::Text);
    request.temperature = question.temperature;
    match mode {
        AnswerMode::ToolCall => {
            let says = "Give the answer. Call this exactly once.";
            request.tools = vec![MessagesTool::new(ANSWER_TOOL, says, schema.clone())];
            request.tool_choice = Some(ToolChoice::Tool {
                name: ANSWER_TOOL.to_owned(),
                disable_parallel_tool_use: Some(true),
            });
        }
        AnswerMode::JsonSchema => {
            let schema = schema.clone();
            request.output_config = Some(OutputConfig {
                format: Some(OutputFormat::JsonSchema { schema }),
                extra: Extra::new(),
            });
        }
        AnswerMode::Fenced => {
            let rule = format!(
                "Answer with one fenced block, ```json … ```, and nothing else. Its JSON must fit this \
                 schema:\n{schema}"
            );
            let system = match &question.system {
                Some(system) => format!("{system}\n\n{rule}"),
                None => rule,
            };
            request.system = Some(MessageContent::Text(system));
        }
    }
    request
}

/// The JSON in an answer: the input of the tool call, else the text, fenced or bare.
pub(super) fn answer_value(answer: &ModelAnswer) -> Result<Value, SchemaViolation> {
    if let Some(broken) = answer.broken_calls.first() {
        let raw = Value::String(broken.raw.clone());
        return Err(SchemaViolation::new(
            "",
            format!("is not a JSON object: {}", broken.problem),
            &raw,
        ));
    }
    let call = answer
        .response
        .content
        .iter()
        .find_map(|block| match block {
            ContentBlock::ToolUse(call) if call.name == ANSWER_TOOL => Some(call.input.clone()),
            _ => None,
        });
    if let Some(input) = call {
        return Ok(input);
    }
    let texts = answer
        .response
        .content
        .iter()
        .filter_map(ContentBlock::as_text);
    let text = texts.collect::<Vec<_>>().join("\n");
    let json = fenced_block(&text).unwrap_or(&text).trim();
    serde_json::from_str(json).map_err(|error| {
        let cut = answer.response.stop_reason == Some(StopReason::MaxTokens);
        let why = if cut {
            " (the answer was cut at its token limit; be shorter)"
        } else {
            ""
        };
        SchemaViolation::new(
            "",
            format!("is not JSON: {error}{why}"),
            &Value::from(text.as_str()),
        )
    })
}

/// The inside of the first fenced block.
fn fenced_block(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("```")?;
    let (_, body) = after.split_once('\n')?;
    // A string in the JSON may hold a fence of its own, so the last one closes.
    body.rfind("```").map(|end| &body[..end])
}

/// Appends the wrong answer and its violations to the conversation.
pub(super) fn return_answer(
    request: &mut MessagesRequest,
    answer: ModelAnswer,
    violations: &[SchemaViolation],
) {
    let problems: Vec<String> = violations.iter().map(|v| format!("- {v}")).collect();
    let says = format!(
        "The answer does not fit the schema:\n{}\nGive the whole answer again, corrected.",
        problems.join("\n")
    );
    let mut content = answer.response.content;
    let results: Vec<ContentBlock> = content
        .iter()
        .filter_map(|block| match block {
            ContentBlock::ToolUse(call) => {
                Some(ContentBlock::tool_result(&call.id, says.as_str(), true))
            }
            _ => None,
        })
        .collect();
    // Vendors refuse empty text blocks and messages without content.
    content.retain(|block| block.as_text().is_none_or(|text| !text.trim().is_empty()));
    if content.is_empty() {
        content.push(ContentBlock::text("(empty answer)"));
    }
    request
        .messages
        .push(ConversationMessage::from_assistant(content));
    request.messages.push(if results.is_empty() {
        ConversationMessage::from_user(says)
    } else {
        ConversationMessage::from_user(results)
    });
}
