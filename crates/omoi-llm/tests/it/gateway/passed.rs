//! Caller and upstream of one dialect: what passes unchanged in both directions, and what is metered
//! beside it.

use omoi_llm::gateway::GatewayRefusal;

use super::*;

const CLAUDE_CODE: &str = include_str!("../recorded/claude-code-2.1.332.json");
const CODEX: &str = include_str!("../recorded/codex-0.171.0.json");
const OPENCODE: &str = include_str!("../recorded/opencode-1.18.33.json");

/// One program's request, and an answer to it as its vendor streams it, with fields and events that
/// nobody here knows.
struct Recorded {
    dialect: Dialect,
    path: &'static str,
    upstream_path: &'static str,
    body: &'static str,
    answer: &'static str,
}

fn recorded() -> [Recorded; 3] {
    [
        Recorded {
            dialect: Dialect::Messages,
            path: "/v1/messages",
            upstream_path: "/v1/messages",
            body: CLAUDE_CODE,
            answer: concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"new\":{\"a\":1.0},\"usage\":{\"input_tokens\":40,\"cache_read_input_tokens\":10,\"output_tokens\":1,\"speed\":\"standard\"}}}\n\n",
                "event: ping\ndata: {\"type\": \"ping\"}\n\n",
                "event: content_block_start\r\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"never_seen\"}}\r\n\r\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"h\\u00e9\"}}\n\n",
                ": a comment\n\n",
                "event: brand_new\ndata: {\"type\":\"brand_new\"}\n\n",
                "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"weird\"},\"usage\":{\"output_tokens\":7},\"context_management\":{}}\n\n",
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ),
        },
        Recorded {
            dialect: Dialect::Responses,
            path: "/v1/responses",
            upstream_path: "/responses",
            body: CODEX,
            answer: concat!(
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"zzz\":0.10}}\n\n",
                "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"encrypted_content\":\"AAA=\"}}\n\n",
                "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{}\",\"obfuscation\":\"x\"}\n\n",
                "event: response.never_seen\ndata: {\"type\":\"response.never_seen\"}\n\n",
                "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":7}}}\n\n",
            ),
        },
        Recorded {
            dialect: Dialect::ChatCompletions,
            path: "/v1/chat/completions",
            upstream_path: "/chat/completions",
            body: OPENCODE,
            answer: concat!(
                ": PROCESSING\n\n",
                "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"native\":1}]}\n\n",
                "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\",\"x\":[]}}]}\n\n",
                "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":10}}}\n\n",
                "data: [DONE]\n\n",
            ),
        },
    ]
}

/// The bytes of `body` with other values in some of its top fields; the rest stays as it stands.
fn with_fields(body: &str, changes: &[(&str, Value)]) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap();
    for (name, value) in changes {
        body[*name] = value.clone();
    }
    body
}

#[tokio::test]
async fn recorded_requests_of_agent_programs_pass_as_they_came() {
    for recorded in recorded() {
        let stub = Stub::always(stub::raw(recorded.answer)).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", recorded.path);
        assert_eq!(text(reply.body).await, recorded.answer);
        let seen = &stub.seen()[0];
        assert_eq!(seen.path, recorded.upstream_path);
        let attempt = caller().principal.purpose.attempt().unwrap().to_string();
        let model = ("model", json!("claude-sonnet-4-5"));
        let changes = match recorded.dialect {
            Dialect::Messages => vec![model, ("metadata", json!({"user_id": attempt}))],
            Dialect::ChatCompletions => vec![model],
            // It bounds no answer by itself; nobody could reserve its cost.
            Dialect::Responses => vec![
                model,
                ("prompt_cache_key", json!(attempt)),
                ("max_output_tokens", json!(u32::MAX)),
            ],
        };
        let mut expected = with_fields(recorded.body, &changes);
        // What names the installation stays here.
        expected
            .as_object_mut()
            .unwrap()
            .shift_remove("client_metadata");
        // Compared as text: order and numbers are part of it.
        assert_eq!(seen.body.to_string(), expected.to_string());
        let usage = house.meter.usages().pop().unwrap();
        let tokens = usage.tokens;
        assert_eq!(
            (tokens.input, tokens.cache_read, tokens.output),
            (40, 10, 7),
            "{}",
            recorded.path
        );
        assert_eq!(usage.outcome, CallOutcome::Complete);
        // 40 × 3000 + 10 × 300 + 7 × 15000, whoever tells the figures.
        assert_eq!(usage.cost.as_nanos(), 228_000);
    }
}

#[tokio::test]
async fn an_answer_is_held_back_only_from_where_it_says_its_end() {
    for recorded in recorded() {
        let stub = Stub::always(stub::raw(recorded.answer)).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        let ReplyBody::Events(mut events) = reply.body else {
            panic!("not a stream");
        };
        while let Some(piece) = events.next().await {
            let piece = String::from_utf8(piece.to_vec()).unwrap();
            let ends = ["message_delta", "finish_reason", "response.completed"];
            if ends.iter().any(|end| piece.contains(end)) {
                assert_eq!(house.meter.usages().len(), 1, "recorded before {piece}");
            }
        }
    }
}

#[tokio::test]
async fn whole_answers_pass_as_they_came_too() {
    let chat = r#"{"id": "c", "new": 1.50, "choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 10}}}"#;
    let messages = r#"{"id": "m", "new": 1.50, "content": [{"type": "new"}], "usage": {"input_tokens": 40, "cache_read_input_tokens": 10, "output_tokens": 7}}"#;
    let response = r#"{"id": "r", "new": 1.50, "output": [], "usage": {"input_tokens": 50, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 10}}}"#;
    for recorded in recorded() {
        let answer = match recorded.dialect {
            Dialect::Messages => messages,
            Dialect::ChatCompletions => chat,
            Dialect::Responses => response,
        };
        let json_type = Some(("content-type", "application/json".to_owned()));
        let says = Says::Plain(200, json_type, answer.to_owned());
        let busy = stub::status(503);
        let stub = Stub::start(vec![busy], says).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let mut body = with_fields(recorded.body, &[("stream", json!(false))]);
        body.as_object_mut().unwrap().shift_remove("stream_options");
        let reply = house
            .send(Method::POST, recorded.path, body.to_string())
            .await;
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(text(reply.body).await, answer);
        let seen = &stub.seen()[1];
        assert_eq!(seen.body["stream"], false);
        assert_eq!(seen.headers["accept"], "application/json");
        let usage = house.meter.usages().pop().unwrap();
        assert_eq!((usage.tokens.input, usage.tokens.output), (40, 7));
        assert_eq!((usage.calls, usage.outcome), (2, CallOutcome::Complete));
    }
}

#[tokio::test]
async fn token_counts_that_the_caller_did_not_ask_for_are_not_shown() {
    let [_, _, opencode] = recorded();
    for (options, is_shown) in [
        (json!(null), false),
        (json!({"include_usage": false, "x": 1}), false),
        (json!({"include_usage": true}), true),
    ] {
        let stub = Stub::always(stub::raw(opencode.answer)).await;
        let house = house_of(
            route(Dialect::ChatCompletions, &stub.url),
            TestMeter::rich(),
        );
        let body = with_fields(opencode.body, &[("stream_options", options.clone())]);
        let reply = house
            .send(Method::POST, opencode.path, body.to_string())
            .await;
        let told = text(reply.body).await;
        assert_eq!(told.contains("prompt_tokens"), is_shown, "{options}");
        assert!(told.ends_with("data: [DONE]\n\n"), "{told}");
        assert_eq!(stub.seen()[0].body["stream_options"]["include_usage"], true);
        assert_eq!(house.meter.usages()[0].tokens.output, 7);
    }
}

#[tokio::test]
async fn a_caller_that_drops_a_passed_answer_is_still_paid_for() {
    for recorded in recorded() {
        // All but the pieces that say the end.
        let end = recorded
            .answer
            .find("event: message_delta")
            .or_else(|| recorded.answer.find("event: response.completed"))
            .or_else(|| {
                recorded
                    .answer
                    .find("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},")
            })
            .unwrap();
        let begun = recorded.answer[..end].to_owned();
        let stub = Stub::always(Says::Events(vec![begun.into()], End::Hang)).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        let ReplyBody::Events(mut events) = reply.body else {
            panic!("not a stream");
        };
        events.next().await.unwrap();
        drop(events);
        house.gateway.drain_questions().await;
        stub.left_alone().await;
        let usage = house.meter.usages().pop().unwrap();
        assert_eq!(usage.outcome, CallOutcome::Abandoned, "{}", recorded.path);
        assert!(usage.tokens.input > 0 && usage.cost > NanoUsd::ZERO);
    }
}

#[tokio::test]
async fn failures_are_told_in_the_dialect_of_the_caller() {
    for recorded in recorded() {
        let error = r#"{"error": {"type": "x", "message": "told you", "code": null}}"#;
        let stub = Stub::always(Says::Plain(400, None, error.to_owned())).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.headers["x-should-retry"], "false");
        let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
        assert_eq!(body["error"]["message"], "told you");
        let is_anthropic = recorded.dialect == Dialect::Messages;
        assert_eq!(body["type"] == "error", is_anthropic, "{body}");
        assert_eq!(body["error"].get("param").is_some(), !is_anthropic);

        // In the midst of an answer it is an event.
        let at = recorded.answer.rfind("\n\n").unwrap() - 1;
        let at = recorded.answer[..at].rfind("\n\n").unwrap() + 2;
        let begun = recorded.answer[..at].to_owned();
        let stub = Stub::always(Says::Events(vec![begun.into()], End::Reset)).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        let told = text(reply.body).await;
        let frames = SseDecoder::default().push(told.as_bytes()).unwrap();
        let last = frames.last().unwrap();
        let data: Value = serde_json::from_str(&last.data).unwrap();
        match recorded.dialect {
            Dialect::Messages => assert_eq!(last.event.as_deref(), Some("error")),
            // What is said without a reason of its end counts as cut.
            Dialect::ChatCompletions => {
                assert!(data["error"].is_object() || last.data == "[DONE]", "{told}");
            }
            Dialect::Responses => {
                assert_eq!(data["type"], "response.failed");
                assert_eq!(data["response"]["error"]["code"], "server_error");
            }
        }
    }
}

#[tokio::test]
async fn refusals_have_the_shape_that_each_client_reads() {
    let second = Duration::from_millis(1_500);
    for (refusal, status, retry, words) in [
        (
            GatewayRefusal::unknown_token(),
            401,
            None,
            ["authentication_error", "invalid_api_key"],
        ),
        (
            GatewayRefusal::superseded_attempt(),
            403,
            None,
            ["superseded_attempt", "superseded_attempt"],
        ),
        (
            GatewayRefusal::no_model("set a key"),
            403,
            None,
            ["permission_error", "permission_denied"],
        ),
        (
            GatewayRefusal::too_large(),
            413,
            None,
            ["request_too_large", "request_too_large"],
        ),
        (
            GatewayRefusal::too_many("slow down", second),
            429,
            Some("2"),
            ["rate_limit_error", "rate_limit_exceeded"],
        ),
        (
            GatewayRefusal::unavailable_now("later"),
            503,
            Some("2"),
            ["api_error", "server_error"],
        ),
    ] {
        for dialect in Dialect::ALL {
            let reply = refusal.clone().into_reply(dialect);
            assert_eq!(reply.status.as_u16(), status);
            let header = |name: &str| reply.headers.get(name).map(|v| v.to_str().unwrap());
            assert_eq!(header("retry-after"), retry);
            let should = if retry.is_some() { "true" } else { "false" };
            assert_eq!(header("x-should-retry"), Some(should), "{refusal:?}");
            let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
            let [anthropic, openai] = words;
            match dialect {
                Dialect::Messages => assert_eq!(body["error"]["type"], anthropic),
                Dialect::ChatCompletions | Dialect::Responses => {
                    assert_eq!(body["error"]["code"], openai);
                }
            }
        }
    }
}

#[tokio::test]
async fn unknown_paths_are_refused_in_the_dialect_that_the_headers_show() {
    let stub = Stub::always(stub::good()).await;
    let house = house(&stub);
    let ask = async |path: &str, anthropic: bool| {
        let mut headers = HeaderMap::new();
        if anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("x"));
        }
        let request = GatewayRequest {
            method: Method::GET,
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
        };
        let reply = house.gateway.handle_request(&caller(), request).await;
        let status = reply.status.as_u16();
        let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
        (status, body)
    };
    let (status, body) = ask("/v1/files", true).await;
    assert_eq!((status, &body["type"]), (404, &json!("error")));
    let (status, body) = ask("/v1/files", false).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
    let (_, list) = ask("/v1/models", false).await;
    assert_eq!(list["object"], "list");
    let (status, one) = ask("/v1/models/gpt%2D5-mini", false).await;
    assert_eq!(
        (status, &one["id"], &one["object"]),
        (200, &json!("gpt-5-mini"), &json!("model"))
    );
    let (status, one) = ask("/v1/models/whatever", true).await;
    assert_eq!((status, &one["type"]), (200, &json!("model")));
}

#[tokio::test]
async fn a_caller_that_waits_hears_comments_where_its_dialect_has_no_ping() {
    for recorded in recorded() {
        let waits = stub::status_after(429, 45);
        let stub = Stub::start(vec![waits], stub::raw(recorded.answer)).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        let told = text(reply.body).await;
        let ping = match recorded.dialect {
            Dialect::Messages => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            Dialect::ChatCompletions | Dialect::Responses => ": waiting for the model\n\n",
        };
        let rest = told.trim_start_matches(ping);
        assert!(told.starts_with(ping), "{told}");
        assert_eq!(rest, recorded.answer, "as if there had been no failure");
    }
}

#[tokio::test]
async fn a_caller_does_not_bound_what_its_answer_is_recorded_as() {
    let [_, _, opencode] = recorded();
    for (caps, reserved, sent) in [
        (vec![("max_tokens", json!(1))], 1, 1),
        (
            vec![
                ("max_tokens", json!(1)),
                ("max_completion_tokens", json!(64_000)),
            ],
            64_000,
            64_000,
        ),
    ] {
        // It says 7 tokens, whatever it was allowed.
        let stub = Stub::always(stub::raw(opencode.answer)).await;
        let house = house_of(
            route(Dialect::ChatCompletions, &stub.url),
            TestMeter::rich(),
        );
        let body = with_fields(opencode.body, &caps).to_string();
        text(house.send(Method::POST, opencode.path, body).await.body).await;
        let seen = &stub.seen()[0].body;
        assert_eq!(seen["max_tokens"], sent);
        assert!(seen.get("max_completion_tokens").is_none(), "{seen}");
        assert!(
            matches!(&house.meter.log()[0], Logged::Granted(p) if p.tokens.output == reserved),
            "{caps:?}"
        );
        assert_eq!(house.meter.usages()[0].tokens.output, 7, "{caps:?}");
    }
}

#[tokio::test]
async fn what_nobody_can_reserve_is_refused_in_the_dialect_of_the_caller() {
    let stub = Stub::always(stub::good()).await;
    let house = house(&stub);
    for recorded in recorded() {
        let name = match recorded.dialect {
            Dialect::Messages | Dialect::ChatCompletions => "max_tokens",
            Dialect::Responses => "max_output_tokens",
        };
        let body = with_fields(recorded.body, &[(name, json!(-1))]).to_string();
        let reply = house.send(Method::POST, recorded.path, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", recorded.path);
        let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
        let is_anthropic = recorded.dialect == Dialect::Messages;
        assert_eq!(body["type"] == "error", is_anthropic, "{body}");
        let says = format!("`{name}` must be a whole number of at least 1");
        assert_eq!(body["error"]["message"], says);
    }
    assert!(house.meter.log().is_empty());
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_is_taken_and_told_as_one() {
    let chat = r#"{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello there"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57, "prompt_tokens_details": {"cached_tokens": 10}}}"#;
    let messages = r#"{"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null, "content": [{"type": "text", "text": "hello there"}], "usage": {"input_tokens": 40, "cache_read_input_tokens": 10, "output_tokens": 7}}"#;
    let response = r#"{"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [{"type": "message", "id": "x", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "hello there", "annotations": []}]}], "usage": {"input_tokens": 50, "output_tokens": 7, "total_tokens": 57, "input_tokens_details": {"cached_tokens": 10}}}"#;
    for recorded in recorded() {
        let (answer, end) = match recorded.dialect {
            Dialect::Messages => (messages, "event: message_stop"),
            Dialect::ChatCompletions => (chat, "data: [DONE]"),
            Dialect::Responses => (response, "event: response.completed"),
        };
        let json_type = Some(("content-type", "application/json".to_owned()));
        let stub = Stub::always(Says::Plain(200, json_type, answer.to_owned())).await;
        let house = house_of(route(recorded.dialect, &stub.url), TestMeter::rich());
        let reply = house.send(Method::POST, recorded.path, recorded.body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", recorded.path);
        assert_eq!(reply.headers["content-type"], "text/event-stream");
        let told = text(reply.body).await;
        assert!(told.contains("hello there") && told.contains(end), "{told}");
        assert_eq!(stub.calls(), 1);
        let usage = house.meter.usages().pop().unwrap();
        let tokens = usage.tokens;
        assert_eq!(
            (tokens.input, tokens.cache_read, tokens.output),
            (40, 10, 7)
        );
        assert_eq!(usage.outcome, CallOutcome::Complete);
    }
}

/// A chunk of a chat answer with one choice.
fn chunk(text: &str, reason: Value) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": reason});
    let data = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {data}\n\n")
}

#[tokio::test]
async fn an_empty_reason_is_no_end_for_which_an_answer_is_held_back() {
    let [_, _, opencode] = recorded();
    let begun = chunk("he", json!("")) + &chunk("llo", json!(""));
    let stub = Stub::always(Says::Events(vec![begun.clone().into()], End::Hang)).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.send(Method::POST, opencode.path, opencode.body).await;
    let ReplyBody::Events(mut events) = reply.body else {
        panic!("not a stream");
    };
    let mut told = String::new();
    while told.len() < begun.len() {
        let piece = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let piece = piece.expect("the answer is held back").unwrap();
        told += std::str::from_utf8(&piece).unwrap();
    }
    assert_eq!(told, begun);
}

#[tokio::test]
async fn a_caller_hears_pings_while_the_end_of_its_answer_is_held_back() {
    let [_, _, opencode] = recorded();
    let begun = chunk("hello", json!(null)) + &chunk("", json!("stop"));
    let stub = Stub::always(Says::Events(vec![begun.into()], End::Hang)).await;
    let mut route = route(Dialect::ChatCompletions, &stub.url);
    route.limits.silence = Duration::from_hours(10);
    route.limits.total = Duration::from_hours(10);
    let house = house_of(route, TestMeter::rich());
    let reply = house.send(Method::POST, opencode.path, opencode.body).await;
    let ReplyBody::Events(mut events) = reply.body else {
        panic!("not a stream");
    };
    let first = events.next().await.unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains("hello"));
    let ping = loop {
        tokio::select! {
            biased;
            piece = events.next() => break piece.unwrap(),
            () = tokio::task::yield_now() => house.pace.advance(Duration::from_secs(1)),
        }
    };
    assert_eq!(ping, ": waiting for the model\n\n");
}

#[tokio::test]
async fn the_cache_key_of_a_caller_goes_to_no_provider() {
    let [_, codex, _] = recorded();
    let key = "the-callers-own-key";
    let body = with_fields(codex.body, &[("prompt_cache_key", json!(key))]).to_string();
    let attempt = caller().principal.purpose.attempt().unwrap().to_string();
    for dialect in [
        Dialect::Responses,
        Dialect::Messages,
        Dialect::ChatCompletions,
    ] {
        let stub = Stub::always(stub::status(400)).await;
        let house = house_of(route(dialect, &stub.url), TestMeter::rich());
        house.send(Method::POST, codex.path, body.clone()).await;
        let seen = stub.seen()[0].body.clone();
        assert!(!seen.to_string().contains(key), "{dialect}: {seen}");
        assert!(seen.get("client_metadata").is_none(), "{dialect}: {seen}");
        if dialect == Dialect::Responses {
            assert_eq!(seen["prompt_cache_key"], attempt);
        }
    }
}

#[tokio::test]
async fn a_translated_question_shares_its_cache_under_the_attempt_alone() {
    let stub = Stub::always(stub::status(400)).await;
    let house = house_of(route(Dialect::Responses, &stub.url), TestMeter::rich());
    let body = json!({"model": "agent", "prompt_cache_key": "mine",
        "messages": [{"role": "user", "content": "hi"}]});
    house
        .send(Method::POST, "/v1/chat/completions", body.to_string())
        .await;
    let attempt = caller().principal.purpose.attempt().unwrap().to_string();
    assert_eq!(stub.seen()[0].body["prompt_cache_key"], attempt);
}
