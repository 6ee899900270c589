//! Caller and upstream of different dialects: what each side sees, and what is metered.

use omoi_llm::conversation::{AnswerEvent, AnswerParser};
use omoi_llm::llm_client::{QuestionTally, RoutedRequest};
use omoi_llm::pace::CallPace as _;
use omoi_llm::retry::CallAllowance;
use omoi_llm::wire::anthropic::{ContentBlock, ConversationMessage, MessagesTool, StopReason};

use super::*;
use crate::conversation::{events_of, input};
use crate::support::request;

/// A dialect with the path at the gateway, the path upstream, a request of an agent program and a streamed
/// answer.
struct Spoken {
    dialect: Dialect,
    path: &'static str,
    upstream_path: &'static str,
    request: (&'static str, &'static str),
    answer: (&'static str, &'static str),
}

const SPOKEN: [Spoken; 3] = [
    Spoken {
        dialect: Dialect::Messages,
        path: "/v1/messages",
        upstream_path: "/v1/messages",
        request: ("messages_request", "claude-code.json"),
        answer: ("messages_stream", "thinking-and-calls.sse"),
    },
    Spoken {
        dialect: Dialect::ChatCompletions,
        path: "/v1/chat/completions",
        upstream_path: "/chat/completions",
        request: ("chat_request", "opencode.json"),
        answer: ("chat_stream", "reasoning-and-calls.sse"),
    },
    Spoken {
        dialect: Dialect::Responses,
        path: "/v1/responses",
        upstream_path: "/responses",
        request: ("responses_request", "codex-namespace.json"),
        answer: ("responses_stream", "reasoning-and-calls.sse"),
    },
];

impl Spoken {
    fn question(&self, stream: bool) -> Value {
        let (folder, name) = self.request;
        let mut body: Value = serde_json::from_slice(&input(folder, name)).unwrap();
        body["stream"] = stream.into();
        if let Some(tools) = body["tools"].as_array_mut() {
            // The driver of that program switches it off, since it is refused.
            tools.retain(|tool| tool["type"] != "web_search");
        }
        body
    }

    fn stream(&self) -> String {
        let (folder, name) = self.answer;
        String::from_utf8(input(folder, name)).unwrap()
    }
}

fn said_text(events: &[AnswerEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        AnswerEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn n_calls(events: &[AnswerEvent]) -> usize {
    let calls = events
        .iter()
        .filter(|event| matches!(event, AnswerEvent::CallStarted(_)));
    calls.count()
}

#[tokio::test]
async fn every_caller_is_answered_by_every_model() {
    for caller_side in &SPOKEN {
        for model_side in &SPOKEN {
            if caller_side.dialect == model_side.dialect {
                continue;
            }
            let at = format!("{} to {}", caller_side.dialect, model_side.dialect);
            let stub = Stub::always(stub::raw(model_side.stream())).await;
            let house = house_of(route(model_side.dialect, &stub.url), TestMeter::rich());
            for streams in [true, false] {
                let body = caller_side.question(streams).to_string();
                let reply = house.send(Method::POST, caller_side.path, body).await;
                assert_eq!(reply.status, StatusCode::OK, "{at}");
                let answer = text(reply.body).await;
                let events = match streams {
                    true => events_of(caller_side.dialect, "gateway", [answer.as_bytes()]),
                    false => {
                        let whole = AnswerParser::read_whole(
                            caller_side.dialect,
                            "gateway",
                            answer.as_bytes(),
                        );
                        whole.unwrap().unwrap()
                    }
                };
                assert_eq!(said_text(&events), "Reading both.", "{at}");
                assert_eq!(n_calls(&events), 2, "{at}");
                assert!(events.contains(&AnswerEvent::Ended), "{at}");
                let usage = house.meter.usages().pop().unwrap();
                let (tokens, outcome) = (usage.tokens, usage.outcome);
                assert_eq!(outcome, CallOutcome::Complete, "{at}");
                assert_eq!((tokens.cache_read, tokens.output), (100, 42), "{at}");
                assert_eq!(tokens.read_tokens(), 125, "{at}");
            }
            let seen = &stub.seen()[0];
            assert_eq!(seen.path, model_side.upstream_path);
            assert_eq!(seen.body["model"], "claude-sonnet-4-5", "{at}");
            assert_eq!(seen.body["stream"], true, "{at}");
            let sent = seen.body.to_string();
            assert!(!sent.contains("device_id"), "{at}: {sent}");
        }
    }
}

#[tokio::test]
async fn what_a_model_cannot_be_told_is_refused_in_the_words_of_the_caller() {
    let stub = Stub::always(stub::good()).await;
    let house = house_of(route(Dialect::Messages, &stub.url), TestMeter::rich());
    let body = json!({"model": "agent", "input": "x", "previous_response_id": "resp_1"});
    let reply = house
        .send(Method::POST, "/v1/responses", body.to_string())
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let answer: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    let says = answer["error"]["message"].as_str().unwrap();
    assert!(says.contains("`previous_response_id`"), "{says}");
    assert_eq!(stub.calls(), 0);
}

#[tokio::test]
async fn a_failure_under_way_is_told_in_the_words_of_the_caller() {
    let chat = String::from_utf8(input("chat_stream", "failed-midway.sse")).unwrap();
    let stub = Stub::always(stub::raw(chat)).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.post(question(true)).await;
    let events = events_of(
        Dialect::Messages,
        "gateway",
        [text(reply.body).await.as_bytes()],
    );
    assert_eq!(said_text(&events), "Hal");
    let failed = events
        .iter()
        .any(|event| matches!(event, AnswerEvent::Failed(failure) if failure.status == 429));
    assert!(failed, "{events:?}");
    let outcome = house.meter.usages().pop().unwrap().outcome;
    assert_eq!(outcome, CallOutcome::Cut);
}

/// A conversation that began with a model of another dialect goes on with one of the caller's own.
#[tokio::test]
async fn reasoning_of_another_maker_does_not_pass_through() {
    let chat = SPOKEN[1].stream();
    let stub = Stub::always(stub::raw(chat)).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.post(question(false)).await;
    let answer: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    assert_eq!(answer["content"][0]["type"], "thinking");
    assert!(!answer.to_string().contains(&stub.url), "{answer}");

    let mut body = question(false);
    body["messages"][1]["content"] = answer["content"].clone();
    let own = Stub::always(stub::good()).await;
    let house = house_of(route(Dialect::Messages, &own.url), TestMeter::rich());
    house.post(body.clone()).await;
    let kept = &own.seen()[0].body["messages"][1]["content"];
    assert_eq!(kept[0], json!({"type": "text", "text": "Reading both."}));

    // Its maker gets it back.
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    house.post(body).await;
    let returned = &stub.seen()[1].body["messages"][1];
    assert_eq!(returned["reasoning_content"], "Let me see — é.");
}

/// Our own client speaks Messages and is answered by a model that speaks Responses.
#[tokio::test]
async fn our_own_client_asks_a_responses_model() {
    let stub = Stub::always(stub::raw(SPOKEN[2].stream())).await;
    let pace = VirtualPace::new();
    let llm = llm_of(route(Dialect::Responses, &stub.url), &pace);
    let mut request = request();
    request.tools = vec![MessagesTool::new(
        "read",
        "Reads.",
        json!({"type": "object"}),
    )];
    let headers = HeaderMap::new();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let ask = RoutedRequest {
            route: RouteName::Agent.into(),
            request: &request,
            headers: &headers,
        };
        let allowance = CallAllowance::within_time(pace.now(), llm.retry_time);
        let mut tally = QuestionTally::new(allowance);
        let answer = llm.complete_answer(ask, &mut tally).await.unwrap();
        assert_eq!(tally.total_tokens().output, 42);
        assert_eq!(answer.response.stop_reason, Some(StopReason::ToolUse));
        let content = answer.response.content.clone();
        let results = content.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(ContentBlock::tool_result(&call.id, "ok", false)),
            _ => None,
        });
        let results: Vec<_> = results.collect();
        request
            .messages
            .push(ConversationMessage::from_assistant(content));
        request
            .messages
            .push(ConversationMessage::from_user(results));
        answers.push(answer);
    }
    assert_eq!(answers[0].response, answers[1].response);
    let items = stub.seen()[1].body["input"].clone();
    let kinds = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].clone());
    assert_eq!(
        Value::from(kinds.collect::<Vec<_>>()),
        json!([
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output"
        ])
    );
    assert_eq!(items[1]["encrypted_content"], "gAAAA==");
    assert_eq!(stub.seen()[1].body["store"], false);
}
