#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod client;
mod faults;
mod foreign;
mod manners;
mod strict;
mod talk;

use std::io;

use http::HeaderMap;
use serde_json::{Value as Json, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;
use crate::wire::{
    anthropic::{self, BlockDelta, ContentBlock, StreamEvent},
    openai,
    sse::SseDecoder,
};

/// A server of its own for one test; it ends with the test.
struct Server {
    base: String,
    recorder: RequestRecorder,
    client: reqwest::Client,
    _serving: JoinSet<io::Result<()>>,
}

/// What came back.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The body ended as HTTP says it must.
    is_whole: bool,
}

impl Got {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

async fn start(rules: &str) -> Server {
    let scenario = format!("version: 1\nname: t\nrules:\n{rules}");
    let scenario = Scenario::read_from("s.yaml", &|_| Ok(scenario.clone().into_bytes()))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let recorder = RequestRecorder::new(100);
    let simulated = SimulatedModel::new(scenario, Some(recorder.clone()));
    serve(simulated, recorder).await
}

async fn serve(simulated: SimulatedModel, recorder: RequestRecorder) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving
        .spawn(async move { serve_scenario(listener, &simulated, std::future::pending()).await });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Server {
        base,
        recorder,
        client,
        _serving: serving,
    }
}

fn path(wire: Dialect) -> &'static str {
    match wire {
        Dialect::Messages => "/v1/messages",
        Dialect::ChatCompletions => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    }
}

/// The headers of a good request, with more of them or others.
fn headers(wire: Dialect, others: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert(crate::wire::headers::CLIENT, "test".parse().unwrap());
    match wire {
        Dialect::Messages => {
            headers.insert("x-api-key", "k".parse().unwrap());
            headers.insert("anthropic-version", anthropic::VERSION.parse().unwrap());
        }
        Dialect::ChatCompletions | Dialect::Responses => {
            headers.insert("authorization", "Bearer k".parse().unwrap());
        }
    }
    for (name, value) in others {
        headers.remove(*name);
        if !value.is_empty() {
            headers.insert(*name, value.parse().unwrap());
        }
    }
    headers
}

impl Server {
    async fn post(&self, wire: Dialect, headers: HeaderMap, body: impl Into<String>) -> Got {
        let url = format!("{}{}", self.base, path(wire));
        let request = self.client.post(url).headers(headers).body(body.into());
        Self::receive(request).await
    }

    async fn ask(&self, wire: Dialect, others: &[(&'static str, &str)], body: &Json) -> Got {
        self.post(wire, headers(wire, others), body.to_string())
            .await
    }

    async fn receive(request: reqwest::RequestBuilder) -> Got {
        let mut response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_eq!(headers[SIMULATED], "1");
        let mut body = Vec::new();
        let is_whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend(chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Got {
            status,
            headers,
            body,
            is_whole,
        }
    }
}

/// A tool with one required argument.
fn tool_schema() -> Json {
    json!({
        "type": "object",
        "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
        "required": ["path"],
        "additionalProperties": false,
    })
}

/// A good request with one question and one tool.
fn request(wire: Dialect) -> Json {
    match wire {
        Dialect::Messages => json!({
            "model": "simulated",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"name": "write", "description": "w", "input_schema": tool_schema()}],
        }),
        Dialect::ChatCompletions => json!({
            "model": "simulated",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}],
            "tools": [{"type": "function", "function": {"name": "write", "parameters": tool_schema()}}],
        }),
        Dialect::Responses => json!({
            "model": "simulated",
            "instructions": "s",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
            "tools": [{"type": "function", "name": "write", "parameters": tool_schema(), "strict": false}],
        }),
    }
}

/// A good request in the middle of a conversation, the last message being a tool's result.
fn conversation(wire: Dialect) -> Json {
    let mut request = request(wire);
    let key = match wire {
        Dialect::Responses => "input",
        Dialect::Messages | Dialect::ChatCompletions => "messages",
    };
    let messages = request[key].as_array_mut().unwrap();
    match wire {
        Dialect::Messages => messages.extend([
            json!({"role": "assistant", "content": [
                {"type": "text", "text": "I write."},
                {"type": "tool_use", "id": "t1", "name": "write", "input": {"path": "a"}},
                {"type": "tool_use", "id": "t2", "name": "write", "input": {"path": "b"}},
            ]}),
            json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t2", "content": "done"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "no"}], "is_error": true},
                {"type": "text", "text": "go on"},
            ]}),
        ]),
        Dialect::ChatCompletions => messages.extend([
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "write", "arguments": "{\"path\":\"a\"}"}},
                {"id": "t2", "type": "function", "function": {"name": "write", "arguments": "{}"}},
            ]}),
            json!({"role": "tool", "tool_call_id": "t2", "content": "done"}),
            json!({"role": "tool", "tool_call_id": "t1", "content": ""}),
        ]),
        Dialect::Responses => messages.extend([
            json!({"type": "reasoning", "id": "rs_1", "summary": []}),
            json!({"type": "function_call", "call_id": "t1", "name": "write", "arguments": "{\"path\":\"a\"}"}),
            json!({"type": "custom_tool_call", "call_id": "t2", "name": "apply_patch", "input": "*** Begin"}),
            json!({"type": "custom_tool_call_output", "call_id": "t2", "output": "done"}),
            json!({"type": "function_call_output", "call_id": "t1", "output": ""}),
        ]),
    }
    request
}

/// The events of an Anthropic stream, which must be known in all their parts.
fn messages_events(body: &[u8]) -> Vec<StreamEvent> {
    let mut decoder = SseDecoder::default();
    let frames = decoder.push(body).unwrap();
    assert!(decoder.is_clean());
    let read = |frame: crate::wire::sse::SseFrame| {
        let event: StreamEvent = serde_json::from_str(&frame.data).unwrap();
        assert!(!matches!(event, StreamEvent::Other(_)), "{}", frame.data);
        assert_eq!(frame.event.as_deref(), Some(event.kind()));
        event
    };
    frames.into_iter().map(read).collect()
}

/// An answer in the words of neither vendor: `text …` and `tool {json}` by block, why it stopped, tokens.
type Said = (Vec<String>, String, (u64, u64));

fn said_block(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => format!("text {}", text.text),
        ContentBlock::ToolUse(call) => format!("{} {}", call.name, call.input),
        other => panic!("{other:?}"),
    }
}

fn said_by_messages(got: &Got) -> Said {
    let answer: anthropic::MessagesResponse = serde_json::from_slice(&got.body).unwrap();
    assert!(answer.extra.is_empty());
    let blocks = answer.content.iter().map(said_block).collect();
    let usage = (answer.usage.input_tokens, answer.usage.output_tokens);
    let stop = answer.stop_reason.unwrap().as_str().to_owned();
    (blocks, stop, (usage.0.unwrap(), usage.1.unwrap()))
}

fn said_by_messages_stream(got: &Got) -> Said {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut stop = None;
    let mut usage = anthropic::TokenUsage::default();
    let events = messages_events(&got.body);
    assert!(matches!(events.first(), Some(StreamEvent::MessageStart(_))));
    assert!(matches!(events.last(), Some(StreamEvent::MessageStop(_))));
    for event in events {
        match event {
            StreamEvent::MessageStart(start) => usage.merge(&start.message.usage),
            StreamEvent::ContentBlockStart(start) => {
                assert_eq!(start.index, blocks.len());
                blocks.push(match start.content_block {
                    ContentBlock::Text(text) => ("text".to_owned(), text.text),
                    ContentBlock::ToolUse(call) => (call.name, String::new()),
                    other => panic!("{other:?}"),
                });
            }
            StreamEvent::ContentBlockDelta(delta) => {
                let text = &mut blocks[delta.index].1;
                match delta.delta {
                    BlockDelta::Text(more) => text.push_str(&more.text),
                    BlockDelta::InputJson(more) => text.push_str(&more.partial_json),
                    other => panic!("{other:?}"),
                }
            }
            StreamEvent::MessageDelta(delta) => {
                usage.merge(&delta.usage);
                stop = delta.delta.stop_reason;
            }
            StreamEvent::Ping(_)
            | StreamEvent::ContentBlockStop(_)
            | StreamEvent::MessageStop(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let blocks = blocks
        .into_iter()
        .map(|(kind, text)| format!("{kind} {text}"))
        .collect();
    let usage = (usage.input_tokens.unwrap(), usage.output_tokens.unwrap());
    (blocks, stop.unwrap().as_str().to_owned(), usage)
}

fn said_by_chat(got: &Got) -> Said {
    let answer: openai::ChatResponse = serde_json::from_slice(&got.body).unwrap();
    let choice = &answer.choices[0];
    let openai::ChatMessage::Assistant(message) = &choice.message else {
        panic!("{choice:?}");
    };
    let text = message.content.as_ref();
    let text = text.map(|content| format!("text {}", content.joined_text()));
    let calls = message.tool_calls.iter();
    let calls = calls.filter_map(|call| call.function.as_ref());
    let calls = calls.map(|function| format!("{} {}", function.name, function.arguments));
    let usage = answer.usage.unwrap();
    let stop = serde_json::to_value(&choice.finish_reason).unwrap();
    (
        text.into_iter().chain(calls).collect(),
        stop.as_str().unwrap().to_owned(),
        (usage.prompt_tokens, usage.completion_tokens),
    )
}

fn said_by_chat_stream(got: &Got) -> Said {
    let mut decoder = SseDecoder::default();
    let mut frames = decoder.push(&got.body).unwrap();
    assert!(decoder.is_clean());
    assert_eq!(frames.pop().unwrap().data, "[DONE]");
    let (mut text, mut calls) = (String::new(), Vec::<(String, String)>::new());
    let (mut stop, mut usage) = (None, None);
    for frame in frames {
        let chunk: openai::ChatChunk = serde_json::from_str(&frame.data).unwrap();
        usage = chunk.usage;
        for choice in chunk.choices {
            text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            for delta in choice.delta.tool_calls {
                let function = delta.function.unwrap();
                if let Some(name) = function.name {
                    assert_eq!(delta.index, calls.len());
                    assert!(delta.id.is_some());
                    calls.push((name, String::new()));
                }
                calls[delta.index]
                    .1
                    .push_str(&function.arguments.unwrap_or_default());
            }
            stop = choice.finish_reason.or(stop);
        }
    }
    let usage = usage.expect("the last chunk has the token counts");
    let mut blocks = Vec::new();
    if !text.is_empty() {
        blocks.push(format!("text {text}"));
    }
    blocks.extend(
        calls
            .into_iter()
            .map(|(name, arguments)| format!("{name} {arguments}")),
    );
    let stop = serde_json::to_value(stop.unwrap()).unwrap();
    (
        blocks,
        stop.as_str().unwrap().to_owned(),
        (usage.prompt_tokens, usage.completion_tokens),
    )
}

/// The events of a responses stream: numbered without a gap, named as they say.
fn responses_events(body: &[u8]) -> Vec<Json> {
    let mut decoder = SseDecoder::default();
    let frames = decoder.push(body).unwrap();
    assert!(decoder.is_clean());
    let read = |(number, frame): (usize, crate::wire::sse::SseFrame)| {
        let event: Json = serde_json::from_str(&frame.data).unwrap();
        assert_eq!(event["type"].as_str(), frame.event.as_deref());
        assert_eq!(event["sequence_number"], number);
        event
    };
    frames.into_iter().enumerate().map(read).collect()
}

fn said_item(item: &Json) -> Option<String> {
    let text = |key: &str| item[key].as_str().unwrap();
    match text("type") {
        "message" => Some(format!(
            "text {}",
            item["content"][0]["text"].as_str().unwrap()
        )),
        "function_call" => Some(format!("{} {}", text("name"), text("arguments"))),
        "custom_tool_call" => Some(format!("{} {}", text("name"), text("input"))),
        "reasoning" => None,
        other => panic!("{other}"),
    }
}

fn said_in_response(response: &Json) -> Said {
    let items = response["output"].as_array().unwrap();
    let stop = match response["incomplete_details"]["reason"].as_str() {
        Some(reason) => reason,
        None => response["status"].as_str().unwrap(),
    };
    let usage = &response["usage"];
    let tokens = |key: &str| usage[key].as_u64().unwrap();
    (
        items.iter().filter_map(said_item).collect(),
        stop.to_owned(),
        (tokens("input_tokens"), tokens("output_tokens")),
    )
}

fn said_by_responses(got: &Got) -> Said {
    said_in_response(&got.json())
}

/// Puts an answer together from its pieces, which must agree with the whole items that end them.
fn said_by_responses_stream(got: &Got) -> Said {
    let events = responses_events(&got.body);
    let (mut open, mut done): (Option<Json>, Vec<Json>) = (None, Vec::new());
    let mut pieces = String::new();
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events[1]["type"], "response.in_progress");
    for event in &events[2..events.len() - 1] {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(event["output_index"], done.len(), "{event}");
        match kind {
            "response.output_item.added" => {
                assert!(open.is_none());
                open = Some(event["item"].clone());
                pieces.clear();
            }
            "response.output_item.done" => {
                let begun = open.take().unwrap();
                assert_eq!(begun["id"], event["item"]["id"]);
                if let Some(said) = said_item(&event["item"]) {
                    assert_eq!(said.split_once(' ').unwrap().1, pieces);
                }
                done.push(event["item"].clone());
            }
            _ => {
                assert_eq!(event["item_id"], open.as_ref().unwrap()["id"]);
                if event.get("delta").is_some() && !kind.contains("reasoning") {
                    pieces.push_str(event["delta"].as_str().unwrap());
                }
            }
        }
    }
    let last = events.last().unwrap();
    assert_eq!(last["response"]["output"], Json::Array(done));
    said_in_response(&last["response"])
}

/// An answer in any format.
fn said_by(wire: Dialect, stream: bool, got: &Got) -> Said {
    match (wire, stream) {
        (Dialect::Messages, false) => said_by_messages(got),
        (Dialect::Messages, true) => said_by_messages_stream(got),
        (Dialect::ChatCompletions, false) => said_by_chat(got),
        (Dialect::ChatCompletions, true) => said_by_chat_stream(got),
        (Dialect::Responses, false) => said_by_responses(got),
        (Dialect::Responses, true) => said_by_responses_stream(got),
    }
}
