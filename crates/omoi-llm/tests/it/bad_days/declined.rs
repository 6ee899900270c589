//! Models that decline what they are asked, or are served no more.

use std::sync::Arc;

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_fallback::FallbackClass;
use omoi_llm::gateway::{GatewayRequest, ReplyBody};
use omoi_llm::meter::{CallOutcome, ModelCaller};
use omoi_llm::route::ModelRoute;
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::sse;

use crate::fallback::{House, house, pair, question, said};
use crate::stub::{self, Says, Stub};
use crate::support::{TestMeter, caller, route};

const WORDS: &str = "I can't help with that.";

fn response_stream(events: &[Value]) -> Says {
    let frames = events
        .iter()
        .map(|event| sse::encode_frame(event["type"].as_str(), &event.to_string()));
    stub::raw(frames.collect::<String>())
}

/// An answer of `dialect` by which its model declines, after `shown` words.
fn declines(dialect: Dialect, shown: &str) -> Says {
    match dialect {
        Dialect::Messages => {
            let mut events = vec![stub::anthropic_start()];
            if !shown.is_empty() {
                events.extend([
                    json!({"type": "content_block_start", "index": 0,
                        "content_block": {"type": "text", "text": ""}}),
                    json!({"type": "content_block_delta", "index": 0,
                        "delta": {"type": "text_delta", "text": shown}}),
                    json!({"type": "content_block_stop", "index": 0}),
                ]);
            }
            events.extend([
                json!({"type": "message_delta", "usage": {"output_tokens": 3}, "delta":
                    {"stop_reason": "refusal", "stop_sequence": null,
                        "stop_details": {"type": "refusal", "explanation": WORDS}}}),
                json!({"type": "message_stop"}),
            ]);
            stub::says(&events)
        }
        Dialect::ChatCompletions => {
            let chunk = |delta: Value, reason: Value| {
                let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
                sse::encode_frame(None, &chunk.to_string())
            };
            let mut frames = chunk(json!({"role": "assistant", "content": ""}), json!(null));
            if !shown.is_empty() {
                frames += &chunk(json!({"content": shown}), json!(null));
            }
            frames += &chunk(json!({"refusal": WORDS}), json!(null));
            frames += &chunk(json!({}), json!("stop"));
            frames += &sse::encode_frame(None, "[DONE]");
            stub::raw(frames)
        }
        Dialect::Responses => {
            let item = json!({"type": "message", "id": "m", "role": "assistant", "status": "in_progress",
                "content": []});
            let place = json!({"item_id": "m", "output_index": 0, "content_index": 0});
            let event = |kind: &str, more: Value| {
                let mut event = json!({"type": kind, "sequence_number": 1});
                for fields in [&place, &more] {
                    let fields = fields.as_object().unwrap().clone();
                    event.as_object_mut().unwrap().extend(fields);
                }
                event
            };
            let response = json!({"id": "r", "object": "response", "created_at": 1, "model": "m",
                "status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 3,
                    "total_tokens": 12}});
            let mut events = vec![
                event("response.created", json!({"response": response})),
                event("response.output_item.added", json!({"item": item})),
            ];
            if !shown.is_empty() {
                let part = json!({"type": "output_text", "text": "", "annotations": []});
                events.push(event("response.content_part.added", json!({"part": part})));
                events.push(event("response.output_text.delta", json!({"delta": shown})));
            }
            events.extend([
                event("response.refusal.delta", json!({"delta": WORDS})),
                event("response.refusal.done", json!({"refusal": WORDS})),
                event("response.completed", json!({"response": response})),
            ]);
            response_stream(&events)
        }
    }
}

/// `question` in the words of `dialect`, and where it goes.
fn asked_in(dialect: Dialect, stream: bool) -> (&'static str, Value) {
    match dialect {
        Dialect::Messages => ("/v1/messages", question(stream)),
        Dialect::ChatCompletions => ("/v1/chat/completions", question(stream)),
        Dialect::Responses => (
            "/v1/responses",
            json!({"model": "agent", "max_output_tokens": 1_000, "stream": stream, "input": "a"}),
        ),
    }
}

async fn ask_as(house: &House, caller: &ModelCaller, (path, body): (&str, Value)) -> (u16, String) {
    let request = GatewayRequest {
        method: Method::POST,
        path: path.to_owned(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    };
    let reply = house.gateway.handle_request(caller, request).await;
    let bytes = match reply.body {
        ReplyBody::Full(bytes) => bytes.to_vec(),
        ReplyBody::Events(events) => events.collect::<Vec<_>>().await.concat(),
    };
    (reply.status.as_u16(), String::from_utf8(bytes).unwrap())
}

fn first_in(dialect: Dialect, stub: &Stub) -> ModelRoute {
    ModelRoute {
        model: "first".to_owned(),
        ..route(dialect, &stub.url)
    }
}

#[tokio::test]
async fn a_model_that_declines_is_followed_by_the_next_one() {
    let second = Stub::always(stub::good()).await;
    for dialect in Dialect::ALL {
        let first = Stub::always(declines(dialect, "")).await;
        let list = vec![
            first_in(dialect, &first),
            ModelRoute {
                model: "second".to_owned(),
                ..route(Dialect::Messages, &second.url)
            },
        ];
        // Whole answers are asked of the stub in Messages alone.
        for (asked, stream) in [
            (dialect, true),
            (Dialect::Messages, true),
            (Dialect::Messages, false),
        ] {
            let house = house(list.clone(), TestMeter::rich());
            let (status, says) = ask_as(&house, &caller(), asked_in(asked, stream)).await;
            assert_eq!(status, 200, "{dialect} {asked}: {says}");
            assert!(says.contains("toolu_1") && !says.contains(WORDS), "{says}");
            let passed = house.passed_over();
            let expected = (
                "first".to_owned(),
                "second".to_owned(),
                FallbackClass::Declined,
            );
            assert_eq!(passed, [expected], "{dialect} {asked}");
            let words = house.meter.fallbacks.lock().unwrap()[0].words.clone();
            assert!(words.starts_with("`first` declined to answer"), "{words}");
            // It read the question, and is paid for that.
            let usages = house.meter.usages();
            assert_eq!(usages[0].outcome, CallOutcome::Failed);
            assert!(usages[0].tokens.input > 0, "{usages:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_declines_and_has_no_successor_says_what_to_do() {
    for dialect in Dialect::ALL {
        let stub = Stub::always(declines(dialect, "")).await;
        for stream in [true, false] {
            let house = house(vec![first_in(dialect, &stub)], TestMeter::rich());
            let (status, says) =
                ask_as(&house, &caller(), asked_in(Dialect::Messages, stream)).await;
            assert_eq!(status, 400, "{dialect}: {says}");
            let error: Value = serde_json::from_str(&says).unwrap();
            assert_eq!(error["error"]["type"], "model_declined", "{says}");
            let message = error["error"]["message"].as_str().unwrap();
            assert!(
                message.contains("omoi models set agent first OTHER"),
                "{message}"
            );
            assert!(message.contains(WORDS), "{dialect}: {message}");
        }
        // Whoever reads OpenAI's shape finds it in the code.
        let house = house(vec![first_in(dialect, &stub)], TestMeter::rich());
        let asked = asked_in(Dialect::ChatCompletions, true);
        let (status, says) = ask_as(&house, &caller(), asked).await;
        let error: Value = serde_json::from_str(&says).unwrap();
        assert_eq!(
            (status, &error["error"]["code"]),
            (400, &json!("model_declined"))
        );
    }
}

#[tokio::test]
async fn a_model_that_declines_midway_is_named_and_passed_over_when_the_question_comes_again() {
    let second = Stub::always(stub::good()).await;
    for dialect in Dialect::ALL {
        let first = Stub::always(declines(dialect, "I begin")).await;
        let list = vec![
            first_in(dialect, &first),
            ModelRoute {
                model: "second".to_owned(),
                ..route(Dialect::Messages, &second.url)
            },
        ];
        let program = |program| ModelCaller {
            program: Some(program),
            ..caller()
        };
        // Our own agent asks again by itself; another program would not take a second answer.
        for (agent, kind) in [
            (AgentProgram::Native, "api_error"),
            (AgentProgram::ClaudeCode, "model_declined"),
        ] {
            let house = house(list.clone(), TestMeter::rich());
            let agent = program(agent);
            let asked = || asked_in(Dialect::Messages, true);
            let (status, says) = ask_as(&house, &agent, asked()).await;
            assert!(
                status == 200 && says.contains("I begin"),
                "{dialect}: {says}"
            );
            assert!(
                says.contains(kind) && !says.contains("message_stop"),
                "{dialect}: {says}"
            );
            assert_eq!(house.meter.usages()[0].outcome, CallOutcome::Declined);
            let (_, says) = ask_as(&house, &agent, asked()).await;
            assert!(says.contains("message_stop"), "{dialect}: {says}");
            assert_eq!(first.calls() % 2, usize::from(kind == "api_error"));
            // Who takes no second answer was given none.
            let classes = house.passed_over().into_iter().map(|(_, _, class)| class);
            let expected = match kind {
                "api_error" => vec![FallbackClass::Declined],
                _ => vec![],
            };
            assert_eq!(classes.collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn a_model_that_retires_midway_is_followed_by_the_next_one() {
    let not_found = || said(404, "The model `first` does not exist");
    let turns = |n: usize| {
        let mut messages = vec![json!({"role": "user", "content": "a"})];
        for _ in 0..n {
            messages.push(json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]}));
            messages.push(json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}));
        }
        json!({"model": "agent", "max_tokens": 1000, "stream": true, "messages": messages,
            "tools": [{"name": "read", "input_schema": {"type": "object"}}]})
    };
    let first = Stub::start(vec![stub::good()], not_found()).await;
    let second = Stub::always(stub::good()).await;
    let house = house(pair(&first, &second), TestMeter::rich());
    for (n, calls) in [(0, [1, 0]), (1, [2, 1]), (2, [2, 2]), (3, [2, 3])] {
        let (status, says) = house.ask(&turns(n)).await;
        assert_eq!(status, 200, "{says}");
        assert_eq!([first.calls(), second.calls()], calls, "turn {n}");
    }
    let classes = house.passed_over().into_iter().map(|(_, _, class)| class);
    assert_eq!(classes.collect::<Vec<_>>(), [FallbackClass::Refused]);
    // Nobody is left: the work ends with what to do.
    let alone = Stub::start(vec![stub::good()], not_found()).await;
    let list = vec![first_in(Dialect::Messages, &alone)];
    let house = crate::fallback::house(list, Arc::clone(&TestMeter::rich()));
    assert_eq!(house.ask(&turns(0)).await.0, 200);
    let (status, says) = house.ask(&turns(1)).await;
    assert_eq!(status, 404, "{says}");
    assert!(
        says.contains("does not exist; `omoi models list`"),
        "{says}"
    );
}
