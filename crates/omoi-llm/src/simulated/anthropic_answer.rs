//! Answers in the format of the Anthropic Messages API.
//!
//! Written by hand from the published format, not through this crate's own types: a field misnamed
//! there would otherwise be misnamed at both ends and never be noticed.

use serde_json::{Value as Json, json};

use super::{
    MODEL, WireFormat,
    answer::{AnswerPiece, AnswerStop, ScriptedAnswer},
    refusal::error_body,
    wire_output::{WireOutput, cut_pieces},
};

/// The whole answer as one JSON body.
pub(super) fn answer_body(answer: &ScriptedAnswer) -> Json {
    let blocks = answer.pieces.iter().filter_map(|piece| match piece {
        AnswerPiece::Delay { .. } => None,
        AnswerPiece::Text(text) => Some(json!({"type": "text", "text": text})),
        AnswerPiece::Call(call) => {
            // Arguments that are broken on purpose cannot stand here: then the whole body is cut.
            let input: Json = serde_json::from_str(&call.input).unwrap_or_default();
            Some(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
        }
    });
    let content = Json::Array(blocks.collect());
    message_json(
        answer,
        content,
        json!(stop_reason(answer.stop)),
        answer.output_tokens,
    )
}

/// The answer as a stream of events.
pub(super) fn answer_events(answer: &ScriptedAnswer) -> Vec<WireOutput> {
    let start = message_json(answer, json!([]), Json::Null, 1);
    let mut out = vec![named_event("message_start", json!({"message": start}))];
    out.push(named_event("ping", json!({})));
    let mut index = 0;
    for piece in &answer.pieces {
        let (block, deltas) = match piece {
            AnswerPiece::Delay { ms } => {
                out.push(WireOutput::wait_ms(*ms));
                continue;
            }
            AnswerPiece::Text(text) => {
                let delta = |piece: &str| json!({"type": "text_delta", "text": piece});
                (
                    json!({"type": "text", "text": ""}),
                    cut_pieces(text).into_iter().map(delta).collect(),
                )
            }
            AnswerPiece::Call(call) => {
                let delta =
                    |piece: &str| json!({"type": "input_json_delta", "partial_json": piece});
                let mut deltas: Vec<Json> = vec![delta("")];
                deltas.extend(cut_pieces(&call.input).into_iter().map(delta));
                let block = json!({
                    "type": "tool_use", "id": call.id, "name": call.name, "input": {},
                });
                (block, deltas)
            }
        };
        out.push(named_event(
            "content_block_start",
            json!({"index": index, "content_block": block}),
        ));
        for delta in deltas {
            out.push(named_event(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            ));
        }
        out.push(named_event("content_block_stop", json!({"index": index})));
        index += 1;
    }
    out.push(named_event(
        "message_delta",
        json!({
            "delta": {"stop_reason": stop_reason(answer.stop), "stop_sequence": null},
            "usage": {"output_tokens": answer.output_tokens},
        }),
    ));
    out.push(named_event("message_stop", json!({})));
    out
}

/// A failure inside a stream.
pub(super) fn error_event(kind: &str, message: &str) -> WireOutput {
    let body = error_body(WireFormat::Anthropic, kind, message);
    named_event("error", json!({"error": body["error"]}))
}

fn message_json(
    answer: &ScriptedAnswer,
    content: Json,
    stop_reason: Json,
    output_tokens: u64,
) -> Json {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    })
}

fn named_event(name: &'static str, mut data: Json) -> WireOutput {
    data["type"] = json!(name);
    WireOutput::json_event(Some(name), &data)
}

fn stop_reason(stop: AnswerStop) -> &'static str {
    match stop {
        AnswerStop::EndTurn => "end_turn",
        AnswerStop::ToolUse => "tool_use",
        AnswerStop::MaxTokens => "max_tokens",
        AnswerStop::Refusal => "refusal",
    }
}
