//! Answers in the format of OpenAI chat completions; by hand for the reason given in
//! [`super::anthropic_answer`].

use serde_json::{Value as Json, json};

use super::{
    MODEL, Wire,
    answer::{Answer, Piece, Stop},
    events::{Out, cut},
    refusal::error_body,
};

/// Texts of one answer are one message here.
const BETWEEN_TEXTS: &str = "\n\n";

/// The whole answer as one JSON body.
pub(super) fn body(answer: &Answer) -> Json {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for piece in &answer.pieces {
        match piece {
            Piece::Delay { .. } => {}
            Piece::Text(text) => texts.push(text.as_str()),
            Piece::Call(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.input},
            })),
        }
    }
    let content = (!texts.is_empty()).then(|| texts.join(BETWEEN_TEXTS));
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = Json::Array(calls);
    }
    let mut body = envelope(answer, "chat.completion");
    body["choices"] = json!([{
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": finish_reason(answer.stop),
    }]);
    body["usage"] = usage(answer);
    body
}

/// The answer as a stream of events; `usage_chunk` adds the token counts.
pub(super) fn events(answer: &Answer, usage_chunk: bool) -> Vec<Out> {
    let chunk = |delta: Json, finish_reason: Json| {
        let mut chunk = envelope(answer, "chat.completion.chunk");
        chunk["choices"] = json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        }]);
        if usage_chunk {
            chunk["usage"] = Json::Null;
        }
        Out::json(None, &chunk)
    };
    let grow = |delta: Json| chunk(delta, Json::Null);
    let mut out = vec![grow(
        json!({"role": "assistant", "content": "", "refusal": null}),
    )];
    let mut call_index = 0;
    let mut has_text = false;
    for piece in &answer.pieces {
        match piece {
            Piece::Delay { ms } => out.push(Out::wait_ms(*ms)),
            Piece::Text(text) => {
                if has_text {
                    out.push(grow(json!({"content": BETWEEN_TEXTS})));
                }
                has_text = true;
                out.extend(
                    cut(text)
                        .into_iter()
                        .map(|piece| grow(json!({"content": piece}))),
                );
            }
            Piece::Call(call) => {
                let first = json!({
                    "index": call_index, "id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": ""},
                });
                out.push(grow(json!({"tool_calls": [first]})));
                for piece in cut(&call.input) {
                    let more = json!({"index": call_index, "function": {"arguments": piece}});
                    out.push(grow(json!({"tool_calls": [more]})));
                }
                call_index += 1;
            }
        }
    }
    out.push(chunk(json!({}), json!(finish_reason(answer.stop))));
    if usage_chunk {
        let mut last = envelope(answer, "chat.completion.chunk");
        last["choices"] = json!([]);
        last["usage"] = usage(answer);
        out.push(Out::json(None, &last));
    }
    out.push(Out::Event {
        name: None,
        data: "[DONE]".to_owned(),
    });
    out
}

/// A failure inside a stream.
pub(super) fn error_event(kind: &str, message: &str) -> Out {
    Out::json(None, &error_body(Wire::OpenAi, kind, message))
}

fn envelope(answer: &Answer, object: &str) -> Json {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": object,
        // A clock would make two equal runs differ.
        "created": 0,
        "model": MODEL,
    })
}

fn usage(answer: &Answer) -> Json {
    json!({
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    })
}

fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn => "stop",
        Stop::ToolUse => "tool_calls",
        Stop::MaxTokens => "length",
        Stop::Refusal => "content_filter",
    }
}
