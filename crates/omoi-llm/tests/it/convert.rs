//! Golden conversions between the vendors.

use serde_json::{Value, json};

use omoi_llm::wire::answer::AnswerAccumulator;
use omoi_llm::wire::anthropic::MessagesRequest;
use omoi_llm::wire::convert::{
    ChunkConverter, ConvertError, MaxTokensField, events_of_chat, to_chat,
};
use omoi_llm::wire::openai::{ChatChunk, ChatResponse};

fn request(patch: Value) -> MessagesRequest {
    let mut wire =
        json!({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in patch.as_object().unwrap() {
        wire[key] = value.clone();
    }
    serde_json::from_value(wire).unwrap()
}

#[test]
fn a_conversation_with_tools_becomes_a_chat() {
    let request = request(json!({
        "stream": true,
        "system": [{"type": "text", "text": "You are careful.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look:"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Reading both."},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a \"b\".py", "n": 1.5}},
                {"type": "tool_use", "id": "t2", "name": "shell", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x = 1"},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "exit 1"},
                {"type": "text", "text": "Go on."}]},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "Thanks"}],
        "tools": [{"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}},
            {"type": "custom", "name": "shell", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "temperature": 0.2, "top_p": 0.9, "top_k": 5, "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"}, "thinking": {"type": "enabled", "budget_tokens": 1024}, "unknown": 1,
        "output_config": {"format": {"type": "json_schema", "schema": {"title": "Two Words", "type": "object"}}},
    }));
    let chat = to_chat(&request, MaxTokensField::MaxCompletionTokens).unwrap();
    insta::assert_json_snapshot!("chat_request", chat);
}

#[test]
fn what_has_no_counterpart_is_refused_by_name() {
    let document = json!({"type": "document", "source": {"type": "text", "data": "d"}});
    for (patch, want) in [
        (
            json!({"messages": [{"role": "user", "content": [document]}]}),
            ConvertError::Block {
                kind: "document".into(),
            },
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web"}]}),
            ConvertError::VendorTool { name: "web".into() },
        ),
    ] {
        assert_eq!(
            to_chat(&request(patch), MaxTokensField::MaxTokens),
            Err(want)
        );
    }
}

fn chunks(list: Vec<Value>) -> (Vec<Value>, Value) {
    let mut converter = ChunkConverter::default();
    let mut events = Vec::new();
    for chunk in list {
        let chunk: ChatChunk = serde_json::from_value(chunk).unwrap();
        events.extend(converter.push(&chunk));
    }
    events.extend(converter.finish().expect("not cut"));
    let mut answer = AnswerAccumulator::default();
    for event in &events {
        answer.push(event).unwrap();
    }
    let answer = answer.finish().unwrap();
    assert_eq!(answer.broken_calls, []);
    let events = events.iter().map(|e| serde_json::to_value(e).unwrap());
    (
        events.collect(),
        serde_json::to_value(answer.response).unwrap(),
    )
}

fn delta(delta: Value) -> Value {
    json!({"id": "c1", "model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

#[test]
fn a_chat_stream_becomes_events() {
    let call = |index: u32, rest: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        delta(json!({"tool_calls": [call]}))
    };
    let (events, answer) = chunks(vec![
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "Let me "})),
        delta(json!({"reasoning": "see."})),
        delta(json!({"content": "I will "})),
        delta(json!({"content": "read."})),
        call(
            0,
            json!({"id": "call_a", "type": "function", "function": {"name": "read", "arguments": ""}}),
        ),
        call(
            1,
            json!({"id": "call_b", "type": "function", "function": {"name": "shell", "arguments": "{\"cmd\""}}),
        ),
        call(0, json!({"function": {"arguments": "{\"path\":\"a\"}"}})),
        call(1, json!({"function": {"arguments": ":\"ls\"}"}})),
        json!({"id": "c1", "model": "gpt", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"id": "c1", "model": "gpt", "choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 12,
            "total_tokens": 42, "prompt_tokens_details": {"cached_tokens": 8}}}),
    ]);
    insta::assert_json_snapshot!("chat_stream_as_events", events);
    insta::assert_json_snapshot!("chat_stream_as_answer", answer);
}

#[test]
fn odd_servers_are_understood() {
    // No call id, no arguments, the name after the arguments began, two choices.
    let (_, answer) = chunks(vec![
        delta(json!({"tool_calls": [{"function": {"arguments": "{\"a\""}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ":1}"}}]})),
        delta(json!({"tool_calls": [{"index": 1, "function": {"name": "g"}}]})),
        json!({"id": "c1", "choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": null},
            {"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ]);
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(
        answer["content"],
        json!([{"type": "tool_use", "id": "call_c1_0", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "call_c1_1", "name": "g", "input": {}}])
    );
    let mut cut = ChunkConverter::default();
    cut.push(&serde_json::from_value(delta(json!({"content": "half"}))).unwrap());
    assert!(cut.finish().is_none());
}

#[test]
fn a_whole_chat_answer_becomes_an_answer() {
    let wire = |arguments: &str| -> ChatResponse {
        serde_json::from_value(json!({"id": "c", "model": "gpt", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Reading.",
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "read", "arguments": arguments}}]}}]}))
        .unwrap()
    };
    let answer = |response: &ChatResponse| {
        let mut answer = AnswerAccumulator::default();
        for event in events_of_chat(response).unwrap() {
            answer.push(&event).unwrap();
        }
        answer.finish().unwrap()
    };
    let whole = answer(&wire("{\"path\":\"a\"}"));
    insta::assert_json_snapshot!("chat_answer", whole.response);
    let broken = answer(&wire("{\"path\":")).broken_calls;
    assert_eq!(broken[0].raw, "{\"path\":");
    let empty: ChatResponse =
        serde_json::from_value(json!({"id": "c", "model": "m", "choices": []})).unwrap();
    assert!(events_of_chat(&empty).is_none());
}
