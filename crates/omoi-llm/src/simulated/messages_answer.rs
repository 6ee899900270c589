//! Answers in the format of the Anthropic Messages API.
//!
//! Written by hand from the published format, not through this crate's own types: a field misnamed
//! there would otherwise be misnamed at both ends and never be noticed.

use serde_json::{Value as Json, json};

use super::{
    Dialect, MODEL,
    answer::{AnswerPiece, AnswerStop, ScriptedAnswer},
    reasoning_seal,
    refusal::error_body,
    wire_output::{WireOutput, cut_pieces},
};

/// The whole answer as one JSON body.
pub(super) fn answer_body(answer: &ScriptedAnswer) -> Json {
    let blocks = answer.pieces.iter().filter_map(|piece| match piece {
        AnswerPiece::Delay { .. } => None,
        AnswerPiece::Reasoning(text) => {
            let signature = reasoning_seal::seal_text(text);
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        AnswerPiece::Text(text) => Some(json!({"type": "text", "text": text})),
        AnswerPiece::Call(call) => {
            // Arguments that are broken on purpose cannot stand here: then the whole body is cut.
            let input: Json = serde_json::from_str(&call.input).unwrap_or_default();
            Some(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
        }
    });
    let content = Json::Array(blocks.collect());
    let output = answer.usage.map(|usage| usage.output);
    let stop = json!(stop_reason(answer.stop));
    message_json(answer, content, stop, output)
}

/// The answer as a stream of events.
pub(super) fn answer_events(answer: &ScriptedAnswer) -> Vec<WireOutput> {
    let start = message_json(answer, json!([]), Json::Null, Some(1));
    let mut out = vec![named_event("message_start", json!({"message": start}))];
    out.push(named_event("ping", json!({})));
    let mut index = 0;
    for piece in &answer.pieces {
        let (block, deltas) = match piece {
            AnswerPiece::Delay { ms } => {
                out.push(WireOutput::wait_ms(*ms));
                continue;
            }
            AnswerPiece::Reasoning(text) => {
                let delta = |piece: &str| json!({"type": "thinking_delta", "thinking": piece});
                let mut deltas: Vec<Json> = cut_pieces(text).into_iter().map(delta).collect();
                let signature = reasoning_seal::seal_text(text);
                deltas.push(json!({"type": "signature_delta", "signature": signature}));
                (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    deltas,
                )
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
            "usage": answer.usage.map_or(json!({}), |usage| json!({"output_tokens": usage.output})),
        }),
    ));
    out.push(named_event("message_stop", json!({})));
    out
}

/// A failure inside a stream.
pub(super) fn error_event(kind: &str, message: &str) -> WireOutput {
    let body = error_body(Dialect::Messages, kind, message);
    named_event("error", json!({"error": body["error"]}))
}

/// A message; the figure of the answer's tokens is left out where the rule wants none.
fn message_json(
    answer: &ScriptedAnswer,
    content: Json,
    stop_reason: Json,
    output_tokens: Option<u64>,
) -> Json {
    let usage = answer.usage.map_or(json!({}), |usage| {
        let (short, long) = match usage.is_long_lived {
            true => (0, usage.cache_write),
            false => (usage.cache_write, 0),
        };
        json!({
            "input_tokens": usage.fresh,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": long,
            },
            "output_tokens": output_tokens,
            "service_tier": "standard",
        })
    });
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage,
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
