//! What the server says, read by the crate's own types.

use super::*;
use crate::conversation::{DialectQuirks, TargetModel, read_messages_request, render_request};
use crate::wire::{
    anthropic::{ConversationMessage, MessageContent, MessagesRequest, MessagesTool},
    dialect::Dialect,
    headers as names,
};

/// A conversation as our client writes it.
fn planning_request() -> MessagesRequest {
    let message = ConversationMessage::from_user("Plan “this” — now.");
    let mut request = MessagesRequest::new("simulated", 4000, vec![message]);
    request.system = Some("You plan.".into());
    let any = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    request.tools = ["submit_item", "submit_done", "write"]
        .map(|name| MessagesTool::new(name, "…", any.clone()))
        .to_vec();
    request
}

fn wire_json(wire: Dialect, request: &MessagesRequest) -> Json {
    if wire == Dialect::Messages {
        return serde_json::to_value(request).unwrap();
    }
    let conversation = read_messages_request(request).unwrap();
    let target = TargetModel {
        maker: "simulated",
        quirks: DialectQuirks::of_dialect(wire, false),
        output_tokens_max: 4_000,
    };
    render_request(wire, &conversation, &target).unwrap()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn every_format_says_the_same_however_it_is_cut() {
    let text = "Ünïcödé 日本語 🦀\nline \"two\" \\ data: {}\n\nevent: x";
    for chunk_bytes in [2, 61, 4096] {
        let rules = format!(
            "
- when: {{role: planner, phase: explore, round: 1, turn: 0, title: 'Ä*'}}
  chunk_bytes: {chunk_bytes}
  reply:
    - text: {}
    - delay_ms: 1
    - tool: {{name: write, input: {{path: {}, n: [1, 2.5, null, {{}}]}}}}
    - items: [{{section: s, key: k, value: {{deep: [true]}}}}]
    - done: true
",
            json!(text),
            json!(text),
        );
        let server = start(&rules).await;
        let title = names::percent_encode("Ä title");
        let others = [
            (names::ROLE, "planner"),
            (names::PHASE, "explore"),
            (names::ROUND, "1"),
            (names::TURN, "0"),
            (names::TITLE, title.as_str()),
        ];
        let want = [
            format!("text {text}"),
            format!("write {}", json!({"path": text, "n": [1, 2.5, null, {}]})),
            "submit_item {\"phase\":\"explore\",\"section\":\"s\",\"key\":\"k\",\"value\":{\"deep\":[true]}}".to_owned(),
            "submit_done {\"phase\":\"explore\"}".to_owned(),
        ];
        for wire in Dialect::ALL {
            for stream in [false, true] {
                let mut request = planning_request();
                request.stream = stream;
                let body = wire_json(wire, &request);
                let got = server.ask(wire, &others, &body).await;
                assert_eq!(
                    (got.status, got.is_whole),
                    (200, true),
                    "{}",
                    String::from_utf8_lossy(&got.body)
                );
                let said = said_by(wire, stream, &got);
                let want_stop = match wire {
                    Dialect::Messages => "tool_use",
                    Dialect::ChatCompletions => "tool_calls",
                    Dialect::Responses => "completed",
                };
                let kind = match stream {
                    true => "text/event-stream",
                    false => "application/json",
                };
                assert_eq!(said.0, want, "{wire:?} {stream}");
                assert_eq!(said.1, want_stop);
                let input_tokens = (body.to_string().len() as u64).div_ceil(4);
                let output_bytes: usize = want.iter().map(|block| block.len() - 1).sum();
                let output_tokens = (output_bytes as u64 - 4).div_ceil(4);
                assert_eq!(said.2, (input_tokens, output_tokens));
                assert_eq!(got.headers["content-type"], kind);

                // The same again gives the same bytes.
                assert_eq!(server.ask(wire, &others, &body).await.body, got.body);
            }
        }
    }
}

/// Talks for three turns, as an agent does.
#[tokio::test]
async fn a_conversation_goes_on_by_turns() {
    let rules = "
- {when: {turn: 0}, reply: [{tool: {name: write, input: {path: a}}}, {tool: {name: write}}]}
- {when: {turn: 1}, usage: {input: 11, output: 22}, stop: max_tokens, reply: [{text: one}, {text: two}]}
- {when: {turn: '2..'}, stop: refusal, reply: []}
";
    for wire in Dialect::ALL {
        let server = start(rules).await;
        let mut request = planning_request();
        let mut said = Vec::new();
        for turn in ["0", "1", "2"] {
            let others = [(names::TURN, turn)];
            let got = server.ask(wire, &others, &wire_json(wire, &request)).await;
            assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
            let of_turn = said_by(wire, false, &got);
            let answer = answer_blocks(wire, &got);
            let results: Vec<_> = answer
                .iter()
                .filter_map(|block| match block {
                    ContentBlock::ToolUse(call) => {
                        Some(ContentBlock::tool_result(call.id.as_str(), "ok", false))
                    }
                    _ => None,
                })
                .collect();
            request
                .messages
                .push(ConversationMessage::from_assistant(answer));
            let next = if results.is_empty() {
                "go on".into()
            } else {
                MessageContent::from(results)
            };
            request.messages.push(ConversationMessage::from_user(next));
            said.push(of_turn);
        }
        let stops: Vec<_> = said.iter().map(|(_, stop, _)| stop.as_str()).collect();
        assert_eq!(said[0].0, ["write {\"path\":\"a\"}", "write {}"]);
        assert_eq!(said[1].2, (11, 22));
        assert_eq!(said[2].0, [""; 0]);
        match wire {
            Dialect::Messages => {
                assert_eq!(said[1].0, ["text one", "text two"]);
                assert_eq!(stops, ["tool_use", "max_tokens", "refusal"]);
            }
            Dialect::ChatCompletions => {
                assert_eq!(said[1].0, ["text one\n\ntwo"]);
                assert_eq!(stops, ["tool_calls", "length", "content_filter"]);
            }
            Dialect::Responses => {
                assert_eq!(said[1].0, ["text one", "text two"]);
                assert_eq!(stops, ["completed", "max_output_tokens", "content_filter"]);
            }
        }
    }
}

/// An answer as it goes back into the conversation.
fn answer_blocks(wire: Dialect, got: &Got) -> Vec<ContentBlock> {
    if wire == Dialect::Messages {
        return serde_json::from_value(got.json()["content"].clone()).unwrap();
    }
    if wire == Dialect::Responses {
        let output = got.json()["output"].as_array().cloned().unwrap();
        let blocks = output.iter().map(|item| match item["type"].as_str() {
            Some("message") => ContentBlock::text(item["content"][0]["text"].as_str().unwrap()),
            _ => {
                let text = |key: &str| item[key].as_str().unwrap();
                let input = serde_json::from_str(text("arguments")).unwrap();
                ContentBlock::tool_use(text("call_id"), text("name"), input)
            }
        });
        return blocks.collect();
    }
    let message = &got.json()["choices"][0]["message"];
    let calls = message["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = message["content"].as_str().map(ContentBlock::text);
    let calls = calls.iter().map(|call| {
        let [id, name, input] = [
            &call["id"],
            &call["function"]["name"],
            &call["function"]["arguments"],
        ]
        .map(|text| text.as_str().unwrap());
        ContentBlock::tool_use(id, name, serde_json::from_str(input).unwrap())
    });
    text.into_iter().chain(calls).collect()
}

#[tokio::test]
async fn usage_comes_in_a_stream_only_when_it_is_asked_for() {
    let server = start("- {when: {}, reply: [{text: hi}]}").await;
    let mut body = request(Dialect::ChatCompletions);
    body["stream"] = json!(true);
    let got = server.ask(Dialect::ChatCompletions, &[], &body).await;
    let text = String::from_utf8(got.body).unwrap();
    assert!(
        text.ends_with("data: [DONE]\n\n") && !text.contains("usage"),
        "{text}"
    );
}

#[tokio::test]
async fn models_are_listed_and_other_paths_refused() {
    let server = start("- {when: {}, reply: []}").await;
    let get = async |path: &str, headers: HeaderMap| {
        let url = format!("{}{path}", server.base);
        Server::receive(server.client.get(url).headers(headers)).await
    };
    let got = get("/v1/models", headers(Dialect::Messages, &[])).await;
    let list: anthropic::ModelList = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(list.data[0].id, MODEL);
    let got = get("/v1/models", headers(Dialect::ChatCompletions, &[])).await;
    assert_eq!(got.json()["data"][0]["id"], MODEL);
    assert_eq!(get("/v1/models", HeaderMap::new()).await.status, 401);
    for path in ["/v1/messages", "/", "/v1/embeddings"] {
        let got = get(path, headers(Dialect::Messages, &[])).await;
        let error: anthropic::MessagesErrorBody = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(
            (got.status, error.error.kind.as_str()),
            (404, "not_found_error")
        );
        assert!(
            error.error.message.contains(&format!("GET {path}:")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_recorder_keeps_the_latest_requests() {
    let rules = "- {when: {turn: 0}, fault: {status: 500}, reply: [{text: hi}]}";
    let server = start(rules).await;
    let body = request(Dialect::Messages);
    for _ in 0..2 {
        server
            .ask(Dialect::Messages, &[(names::TASK, "T1")], &body)
            .await;
    }
    server
        .ask(
            Dialect::ChatCompletions,
            &[],
            &conversation(Dialect::ChatCompletions),
        )
        .await;
    let requests = server.recorder.list_requests();
    assert_eq!(requests[0].body, body);
    assert_eq!(
        requests[0].keys.as_ref().unwrap().task.as_deref(),
        Some("T1")
    );
    assert_eq!(requests[2].keys.as_ref().unwrap().turn, 1);
    let rule = "rule 1".to_owned();
    assert_eq!(
        requests[0].outcome,
        RequestOutcome::Faulted { rule: rule.clone() }
    );
    assert_eq!(requests[1].outcome, RequestOutcome::Replied { rule });
    assert!(matches!(
        requests[2].outcome,
        RequestOutcome::Refused { status: 400, .. }
    ));

    let recorder = RequestRecorder::new(2);
    for request in requests {
        recorder.record_request(request);
    }
    let kept: Vec<_> = recorder
        .list_requests()
        .iter()
        .map(|request| request.wire)
        .collect();
    assert_eq!(kept, [Dialect::Messages, Dialect::ChatCompletions]);
}
