//! Answers in the format of OpenAI responses; by hand for the reason given in [`super::messages_answer`].

use serde_json::{Value as Json, json};

use super::{
    MODEL,
    answer::{AnswerPiece, AnswerStop, ScriptedAnswer, ScriptedCall},
    checked_request::{ReasoningForm, ToolForm},
    reasoning_seal,
    wire_output::{WireOutput, cut_pieces},
};

const ID_PREFIX: &str = "resp_";
const TURN_MARK: &str = "_t";

/// The turn that the answer with this id was, if this server gave it.
pub(super) fn turn_of_id(id: &str) -> Option<u32> {
    let (_, turn) = id.strip_prefix(ID_PREFIX)?.rsplit_once(TURN_MARK)?;
    turn.parse().ok()
}

/// The whole answer as one JSON body.
pub(super) fn answer_body(answer: &ScriptedAnswer) -> Json {
    let mut output = Vec::new();
    for piece in &answer.pieces {
        output.extend(finished_item(answer, piece, output.len()));
    }
    envelope(answer, ResponseState::ended(answer.stop), output)
}

/// The answer as a stream of events.
pub(super) fn answer_events(answer: &ScriptedAnswer) -> Vec<WireOutput> {
    let mut stream = EventList::default();
    let begun = || envelope(answer, ResponseState::InProgress, Vec::new());
    stream.push("response.created", json!({"response": begun()}));
    stream.push("response.in_progress", json!({"response": begun()}));
    let mut output = Vec::new();
    for piece in &answer.pieces {
        if let AnswerPiece::Delay { ms } = piece {
            stream.out.push(WireOutput::wait_ms(*ms));
        }
        let index = output.len();
        let Some(item) = finished_item(answer, piece, index) else {
            continue;
        };
        let added = json!({"output_index": index, "item": begun_item(&item)});
        stream.push("response.output_item.added", added);
        stream.push_contents(piece, &item, index);
        let done = json!({"output_index": index, "item": item});
        stream.push("response.output_item.done", done);
        output.push(item);
    }
    let state = ResponseState::ended(answer.stop);
    let name = match state {
        ResponseState::Incomplete(_) => "response.incomplete",
        ResponseState::InProgress | ResponseState::Completed => "response.completed",
    };
    stream.push(name, json!({"response": envelope(answer, state, output)}));
    stream.out
}

/// A failure inside a stream.
pub(super) fn error_event(kind: &str, message: &str) -> WireOutput {
    let code = match kind {
        "overloaded_error" => "server_is_overloaded",
        _ => "server_error",
    };
    let failed = json!({
        "type": "response.failed",
        "response": {
            "id": "resp_failed", "object": "response", "created_at": 0, "model": MODEL,
            "status": "failed", "output": [], "error": {"code": code, "message": message},
        },
    });
    WireOutput::json_event(Some("response.failed"), &failed)
}

/// Where an answer stands.
#[derive(Clone, Copy)]
enum ResponseState {
    InProgress,
    Completed,
    Incomplete(&'static str),
}

impl ResponseState {
    fn ended(stop: AnswerStop) -> Self {
        match stop {
            AnswerStop::EndTurn | AnswerStop::ToolUse => Self::Completed,
            AnswerStop::MaxTokens => Self::Incomplete("max_output_tokens"),
            AnswerStop::Refusal => Self::Incomplete("content_filter"),
        }
    }
}

fn envelope(answer: &ScriptedAnswer, state: ResponseState, output: Vec<Json>) -> Json {
    let (status, details, usage) = match state {
        ResponseState::InProgress => ("in_progress", Json::Null, Json::Null),
        ResponseState::Completed => ("completed", Json::Null, usage_json(answer)),
        ResponseState::Incomplete(reason) => {
            ("incomplete", json!({"reason": reason}), usage_json(answer))
        }
    };
    json!({
        "id": format!("{ID_PREFIX}{}{TURN_MARK}{}", answer.id, answer.turn),
        "object": "response",
        // A clock would make two equal runs differ.
        "created_at": 0,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": details,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
    })
}

fn usage_json(answer: &ScriptedAnswer) -> Json {
    let Some(usage) = answer.usage else {
        return Json::Null;
    };
    json!({
        "input_tokens": usage.input_total(),
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_total() + usage.output,
    })
}

/// The item that a piece becomes, as it is when it is done.
fn finished_item(answer: &ScriptedAnswer, piece: &AnswerPiece, index: usize) -> Option<Json> {
    let id = |kind: &str| format!("{kind}_{}_{index}", answer.id);
    Some(match piece {
        AnswerPiece::Delay { .. } => return None,
        AnswerPiece::Reasoning(text) => {
            let ReasoningForm { shown, sealed } = answer.reasoning;
            let summary = match shown {
                true => json!([{"type": "summary_text", "text": text}]),
                false => json!([]),
            };
            let mut item = json!({"id": id("rs"), "type": "reasoning", "summary": summary});
            if sealed {
                item["encrypted_content"] = json!(reasoning_seal::seal_text(text));
            }
            item
        }
        AnswerPiece::Text(text) => json!({
            "id": id("msg"), "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }),
        AnswerPiece::Call(call) => {
            let (kind, prefix, key) = call_words(call);
            let mut item = json!({
                "id": id(prefix), "type": kind, "status": "completed", "call_id": call.id,
                "name": call.name, key: call.input,
            });
            if let Some(group) = &call.group {
                item["namespace"] = json!(group);
            }
            item
        }
    })
}

/// How a call is told: type of the item, prefix of its id, field of what it is given.
fn call_words(call: &ScriptedCall) -> (&'static str, &'static str, &'static str) {
    match call.form {
        ToolForm::Arguments => ("function_call", "fc", "arguments"),
        ToolForm::Freeform => ("custom_tool_call", "ctc", "input"),
    }
}

/// An item as it is announced: under way and empty.
fn begun_item(item: &Json) -> Json {
    let mut begun = item.clone();
    for (key, empty) in [
        ("status", json!("in_progress")),
        ("summary", json!([])),
        ("content", json!([])),
        ("arguments", json!("")),
        ("input", json!("")),
        ("encrypted_content", json!("")),
    ] {
        if begun.get(key).is_some() {
            begun[key] = empty;
        }
    }
    begun
}

/// The events so far, each with its number.
#[derive(Default)]
struct EventList {
    out: Vec<WireOutput>,
    n_events: u64,
}

impl EventList {
    fn push(&mut self, name: &'static str, mut data: Json) {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.n_events);
        self.n_events += 1;
        self.out.push(WireOutput::json_event(Some(name), &data));
    }

    /// What comes between the announcement of an item and its end.
    fn push_contents(&mut self, piece: &AnswerPiece, item: &Json, index: usize) {
        match piece {
            AnswerPiece::Delay { .. } => {}
            AnswerPiece::Reasoning(text) => {
                if let Some(part) = item["summary"].get(0) {
                    self.push_summary(&item["id"], part, text, index);
                }
            }
            AnswerPiece::Text(text) => self.push_text(&item["id"], text, index),
            AnswerPiece::Call(call) => self.push_input(&item["id"], call, index),
        }
    }

    fn push_summary(&mut self, id: &Json, part: &Json, text: &str, index: usize) {
        let at = |more: Json| {
            merged(
                json!({"item_id": id, "output_index": index, "summary_index": 0}),
                more,
            )
        };
        let empty = json!({"type": "summary_text", "text": ""});
        self.push(
            "response.reasoning_summary_part.added",
            at(json!({"part": empty})),
        );
        for piece in cut_pieces(text) {
            self.push(
                "response.reasoning_summary_text.delta",
                at(json!({"delta": piece})),
            );
        }
        self.push(
            "response.reasoning_summary_text.done",
            at(json!({"text": text})),
        );
        self.push(
            "response.reasoning_summary_part.done",
            at(json!({"part": part})),
        );
    }

    fn push_text(&mut self, id: &Json, text: &str, index: usize) {
        let at = |more: Json| {
            merged(
                json!({"item_id": id, "output_index": index, "content_index": 0}),
                more,
            )
        };
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        self.push("response.content_part.added", at(json!({"part": part("")})));
        for piece in cut_pieces(text) {
            let delta = json!({"delta": piece, "logprobs": []});
            self.push("response.output_text.delta", at(delta));
        }
        let done = json!({"text": text, "logprobs": []});
        self.push("response.output_text.done", at(done));
        self.push(
            "response.content_part.done",
            at(json!({"part": part(text)})),
        );
    }

    fn push_input(&mut self, id: &Json, call: &ScriptedCall, index: usize) {
        let at = |more: Json| merged(json!({"item_id": id, "output_index": index}), more);
        let (delta, done, key) = match call.form {
            ToolForm::Arguments => (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
            ),
            ToolForm::Freeform => (
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "input",
            ),
        };
        for piece in cut_pieces(&call.input) {
            self.push(delta, at(json!({"delta": piece})));
        }
        let mut end = at(json!({key: call.input}));
        if call.form == ToolForm::Arguments {
            end["name"] = json!(call.name);
        }
        self.push(done, end);
    }
}

/// The fields of both objects.
fn merged(mut base: Json, more: Json) -> Json {
    if let (Some(base), Json::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}
