//! Answers in the format of OpenAI chat completions; by hand for the reason given in
//! [`super::messages_answer`].

use serde_json::{Value as Json, json};

use super::{
    Dialect, MODEL,
    answer::{AnswerPiece, AnswerStop, ScriptedAnswer, ScriptedUsage},
    refusal::error_body,
    wire_output::{WireOutput, cut_pieces},
};

/// Texts of one answer are one message here.
const BETWEEN_TEXTS: &str = "\n\n";

/// The whole answer as one JSON body.
pub(super) fn answer_body(answer: &ScriptedAnswer) -> Json {
    let mut texts = Vec::new();
    let mut thoughts = Vec::new();
    let mut calls = Vec::new();
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Delay { .. } => {}
            AnswerPiece::Reasoning(text) => thoughts.push(text.as_str()),
            AnswerPiece::Text(text) => texts.push(text.as_str()),
            AnswerPiece::Call(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.input},
            })),
        }
    }
    let content = (!texts.is_empty()).then(|| texts.join(BETWEEN_TEXTS));
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !thoughts.is_empty() {
        message["reasoning_content"] = json!(thoughts.join(BETWEEN_TEXTS));
    }
    if !calls.is_empty() {
        message["tool_calls"] = Json::Array(calls);
    }
    let mut body = answer_envelope(answer, "chat.completion");
    body["choices"] = json!([{
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": finish_reason(answer.stop),
    }]);
    if let Some(usage) = answer.usage {
        body["usage"] = usage_json(usage);
    }
    body
}

/// The answer as a stream of events; `usage_chunk` adds the token counts.
pub(super) fn answer_events(answer: &ScriptedAnswer, usage_chunk: bool) -> Vec<WireOutput> {
    let chunk = |delta: Json, finish_reason: Json| {
        let mut chunk = answer_envelope(answer, "chat.completion.chunk");
        chunk["choices"] = json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        }]);
        if usage_chunk {
            chunk["usage"] = Json::Null;
        }
        WireOutput::json_event(None, &chunk)
    };
    let grow = |delta: Json| chunk(delta, Json::Null);
    let mut out = vec![grow(
        json!({"role": "assistant", "content": "", "refusal": null}),
    )];
    let mut call_index = 0;
    let mut has_text = false;
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Delay { ms } => out.push(WireOutput::wait_ms(*ms)),
            AnswerPiece::Reasoning(text) => {
                let pieces = cut_pieces(text).into_iter();
                out.extend(pieces.map(|piece| grow(json!({"reasoning_content": piece}))));
            }
            AnswerPiece::Text(text) => {
                if has_text {
                    out.push(grow(json!({"content": BETWEEN_TEXTS})));
                }
                has_text = true;
                out.extend(
                    cut_pieces(text)
                        .into_iter()
                        .map(|piece| grow(json!({"content": piece}))),
                );
            }
            AnswerPiece::Call(call) => {
                let first = json!({
                    "index": call_index, "id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": ""},
                });
                out.push(grow(json!({"tool_calls": [first]})));
                for piece in cut_pieces(&call.input) {
                    let more = json!({"index": call_index, "function": {"arguments": piece}});
                    out.push(grow(json!({"tool_calls": [more]})));
                }
                call_index += 1;
            }
        }
    }
    out.push(chunk(json!({}), json!(finish_reason(answer.stop))));
    if let (true, Some(usage)) = (usage_chunk, answer.usage) {
        let mut last = answer_envelope(answer, "chat.completion.chunk");
        last["choices"] = json!([]);
        last["usage"] = usage_json(usage);
        out.push(WireOutput::json_event(None, &last));
    }
    out.push(WireOutput::Event {
        name: None,
        data: "[DONE]".to_owned(),
    });
    out
}

/// A failure inside a stream.
pub(super) fn error_event(kind: &str, message: &str) -> WireOutput {
    WireOutput::json_event(None, &error_body(Dialect::ChatCompletions, kind, message))
}

fn answer_envelope(answer: &ScriptedAnswer, object: &str) -> Json {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": object,
        // A clock would make two equal runs differ.
        "created": 0,
        "model": MODEL,
    })
}

fn usage_json(usage: ScriptedUsage) -> Json {
    json!({
        "prompt_tokens": usage.input_total(),
        "completion_tokens": usage.output,
        "total_tokens": usage.input_total() + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

fn finish_reason(stop: AnswerStop) -> &'static str {
    match stop {
        AnswerStop::EndTurn => "stop",
        AnswerStop::ToolUse => "tool_calls",
        AnswerStop::MaxTokens => "length",
        AnswerStop::Refusal => "content_filter",
    }
}
