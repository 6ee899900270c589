//! The gateway's surface: what agents see, what upstreams see, what the meter sees.

mod interrupted;
mod passed;
mod role_settings;
mod translated;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::secret_mask::SecretMask;
use omoi_llm::gateway::{GatewayReply, GatewayRequest, ModelGateway, REQUEST_BYTES_MAX, ReplyBody};
use omoi_llm::llm_client::{QuestionTally, RoutedRequest};
use omoi_llm::meter::CallOutcome;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::retry::CallAllowance;
use omoi_llm::route::ModelRoute;
use omoi_llm::wire::anthropic::{ConversationMessage, MessagesRequest};
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::headers;
use omoi_llm::wire::sse::SseDecoder;

use crate::stub::{self, End, Says, Stub};
use crate::support::{Logged, TestMeter, VirtualPace, caller, llm_of, route};

struct House {
    gateway: ModelGateway,
    meter: Arc<TestMeter>,
    pace: Arc<VirtualPace>,
}

/// What its callers switch on: one thing that is passed on, and one that is not.
const BETAS: &str = "fine-grained-tool-streaming-2025-05-14,files-api-2025-04-14";

fn house_of(route: ModelRoute, meter: Arc<TestMeter>) -> House {
    let pace = VirtualPace::new();
    House {
        gateway: ModelGateway::new(llm_of(route, &pace), Arc::clone(&meter) as _),
        meter,
        pace,
    }
}

fn house(stub: &Stub) -> House {
    house_of(route(Dialect::Messages, &stub.url), TestMeter::rich())
}

impl House {
    async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> GatewayReply {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-beta", HeaderValue::from_static(BETAS));
        headers.insert("anthropic-version", HeaderValue::from_static("2099-12-31"));
        headers.insert(
            "authorization",
            HeaderValue::from_static("Bearer attempt-token"),
        );
        let request = GatewayRequest {
            method,
            path: path.to_owned(),
            headers,
            body: body.into(),
        };
        self.gateway.handle_request(&caller(), request).await
    }

    async fn post(&self, body: Value) -> GatewayReply {
        self.send(Method::POST, "/v1/messages", body.to_string())
            .await
    }
}

fn question(stream: bool) -> Value {
    json!({"model": "agent", "max_tokens": 1000, "stream": stream, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})
}

async fn text(body: ReplyBody) -> String {
    let bytes = match body {
        ReplyBody::Full(bytes) => bytes.to_vec(),
        ReplyBody::Events(events) => events.collect::<Vec<_>>().await.concat(),
    };
    String::from_utf8(bytes).unwrap()
}

async fn error(reply: GatewayReply) -> (u16, String, String) {
    let status = reply.status.as_u16();
    let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    assert_eq!(body["type"], "error", "{body}");
    let word = |key: &str| body["error"][key].as_str().unwrap().to_owned();
    (status, word("type"), word("message"))
}

#[tokio::test]
async fn a_streamed_answer_passes_through_and_is_paid_before_it_ends() {
    let stub = Stub::always(stub::good()).await;
    let house = house(&stub);
    let reply = house.post(question(true)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert!(!reply.headers.contains_key("x-omoi-simulated"));
    let ReplyBody::Events(mut events) = reply.body else {
        panic!("not a stream");
    };
    let mut seen = String::new();
    while let Some(piece) = events.next().await {
        let piece = String::from_utf8(piece.to_vec()).unwrap();
        if piece.contains("message_stop") {
            assert_eq!(
                house.meter.usages().len(),
                1,
                "recorded before the last event"
            );
        }
        seen += &piece;
    }
    insta::assert_snapshot!("streamed_answer", seen);
    let usage = house.meter.usages().pop().unwrap();
    insta::assert_debug_snapshot!("streamed_usage", usage);
    assert!(
        matches!(&house.meter.log()[0], Logged::Granted(p) if p.tokens.output == 1000 && p.cost > NanoUsd::from_nanos(15_000_000))
    );
    house.gateway.drain_questions().await;
}

#[tokio::test]
async fn an_openai_upstream_looks_the_same_to_the_agent() {
    let stub = Stub::always(stub::chat(&["Hel", "lo"], "stop")).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.post(question(true)).await;
    insta::assert_snapshot!("streamed_answer_from_openai", text(reply.body).await);
    let seen = stub.seen();
    for name in ["anthropic-version", "anthropic-beta"] {
        assert!(
            !seen[0].headers.contains_key(name),
            "{name} is no header of OpenAI's"
        );
    }
    let usage = house.meter.usages().pop().unwrap();
    assert_eq!(
        (
            usage.tokens.input,
            usage.tokens.cache_read,
            usage.tokens.output
        ),
        (40, 10, 7)
    );
    // 40 × 3000 + 10 × 300 + 7 × 15000.
    assert_eq!(usage.cost.as_nanos(), 228_000);
}

#[tokio::test]
async fn a_whole_answer_of_another_dialect_is_put_together_here() {
    let cut = stub::chat_chunk("Hel");
    let stub = Stub::start(vec![cut], stub::chat(&["Hel", "lo"], "stop")).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.post(question(false)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let body: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    insta::assert_json_snapshot!("whole_answer", body);
    assert_eq!(stub.calls(), 2, "a cut answer is asked for again");
    assert!(stub.seen().iter().all(|seen| seen.body["stream"] == true));
    let usage = house.meter.usages().pop().unwrap();
    assert_eq!((usage.calls, usage.outcome), (2, CallOutcome::Complete));
}

#[tokio::test]
async fn only_a_simulated_model_learns_who_asks() {
    let stub = Stub::always(stub::good()).await;
    let real = house(&stub);
    let simulated = house_of(
        ModelRoute {
            simulated: true,
            price: ModelPrice::FREE,
            ..route(Dialect::Messages, &stub.url)
        },
        TestMeter::with_cap(NanoUsd::ZERO),
    );
    text(real.post(question(true)).await.body).await;
    let reply = simulated.post(question(true)).await;
    assert_eq!(reply.headers["x-omoi-simulated"], "true");
    text(reply.body).await;
    let [to_real, to_simulated] = stub.seen().try_into().ok().unwrap();
    let omoi = |headers: &HeaderMap| -> Vec<String> {
        let ours = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-omoi"));
        ours.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    };
    assert_eq!(omoi(&to_real.headers), [""; 0]);
    assert_eq!(
        omoi(&to_simulated.headers),
        [
            "x-omoi-role: implementer",
            "x-omoi-phase: implementation",
            "x-omoi-task: TSK-003",
            "x-omoi-title: Add%20CSV%20%E2%80%93%20export",
            "x-omoi-round: 2",
            "x-omoi-turn: 1",
            "x-omoi-route: agent"
        ]
    );
    let title = to_simulated.headers[headers::TITLE].to_str().unwrap();
    assert_eq!(
        headers::percent_decode(title).as_deref(),
        Some("Add CSV – export")
    );
    let betas = |headers: &HeaderMap| headers["anthropic-beta"].to_str().unwrap().to_owned();
    assert_eq!(
        betas(&to_real.headers),
        "fine-grained-tool-streaming-2025-05-14"
    );
    assert_eq!(betas(&to_simulated.headers), BETAS);
    for seen in [to_real, to_simulated] {
        let versions: Vec<_> = seen.headers.get_all("anthropic-version").iter().collect();
        assert_eq!(versions, ["2099-12-31"]);
        assert!(
            !seen.headers.contains_key("authorization"),
            "the attempt's token stays here"
        );
    }
    let usage = simulated.meter.usages().pop().unwrap();
    assert!(usage.simulated && usage.cost == NanoUsd::ZERO && usage.tokens.output == 30);
    assert!(real.meter.usages()[0].cost > NanoUsd::ZERO);
}

#[tokio::test]
async fn instructions_in_the_midst_reach_a_model_of_another_dialect_ahead_of_the_conversation() {
    let mut body = question(true);
    body["system"] = json!("first");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.insert(2, json!({"role": "system", "content": "second"}));
    let stub = Stub::always(stub::chat(&["Hello"], "stop")).await;
    let house = house_of(
        route(Dialect::ChatCompletions, &stub.url),
        TestMeter::rich(),
    );
    let reply = house.post(body).await;
    assert_eq!(reply.status, StatusCode::OK);
    text(reply.body).await;
    let sent = &stub.seen()[0].body;
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<_> = messages
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    let system = messages[0]["content"].to_string();
    assert!(
        system.contains("first") && system.contains("second"),
        "{system}"
    );
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn a_spent_budget_is_a_402_before_any_upstream_call() {
    let stub = Stub::always(stub::good()).await;
    let house = house_of(
        route(Dialect::Messages, &stub.url),
        TestMeter::with_cap(NanoUsd::from_nanos(10)),
    );
    for stream in [true, false] {
        let got = error(house.post(question(stream)).await).await;
        let says = "the phase budget of 0.00000001 USD is spent".to_owned();
        assert_eq!(got, (402, "budget_exhausted".to_owned(), says));
    }
    assert_eq!(stub.calls(), 0);
    assert_eq!(house.meter.log(), [Logged::Refused, Logged::Refused]);
}

#[tokio::test]
async fn four_dollar_answers_stop_within_a_ten_dollar_cap() {
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 266_600}});
    let stub = Stub::always(stub::says(&[
        stub::anthropic_start(),
        end,
        json!({"type": "message_stop"}),
    ]))
    .await;
    let house = house_of(
        route(Dialect::Messages, &stub.url),
        TestMeter::with_cap(NanoUsd::from_dollars(10)),
    );
    let mut body = question(false);
    body["max_tokens"] = json!(266_600);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(house.post(body.clone()).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 402, 402]);
    assert_eq!(stub.calls(), 2);
    let spent = house.meter.spent().as_usd();
    assert!((7.99..=10.0).contains(&spent), "{spent}");
}

#[tokio::test]
async fn bad_requests_are_refused_in_anthropics_shape() {
    let stub = Stub::always(stub::good()).await;
    let house = house(&stub);
    let patched = |key: &str, value: Value| {
        let mut body = question(true);
        body[key] = value;
        body.to_string()
    };
    for (body, want) in [
        (
            "{".to_owned(),
            (400, "invalid_request_error", "EOF while parsing"),
        ),
        (
            "{\"model\": \"agent\"}".to_owned(),
            (400, "invalid_request_error", "missing field `max_tokens`"),
        ),
        (
            patched("messages", json!([])),
            (400, "invalid_request_error", "at least one message"),
        ),
        (
            patched("max_tokens", json!(0)),
            (
                400,
                "invalid_request_error",
                "`max_tokens` must be a whole number of at least 1",
            ),
        ),
        (
            " ".repeat(REQUEST_BYTES_MAX + 1),
            (413, "request_too_large", "larger than 33554432 bytes"),
        ),
    ] {
        let (status, kind, message) =
            error(house.send(Method::POST, "/v1/messages", body).await).await;
        assert_eq!((status, kind.as_str()), (want.0, want.1), "{message}");
        assert!(message.contains(want.2), "{message}");
    }
    let (status, kind, _) = error(house.send(Method::DELETE, "/v1/files", "").await).await;
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));
    assert_eq!((stub.calls(), house.meter.log()), (0, vec![]));
    assert_eq!(
        house.send(Method::HEAD, "/", "").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_answer_is_as_long_as_the_route_allows() {
    for (asked, sent) in [(1_000, 800), (800, 800), (20, 20)] {
        let stub = Stub::always(stub::good()).await;
        let house = house_of(
            ModelRoute {
                max_tokens: 800,
                ..route(Dialect::Messages, &stub.url)
            },
            TestMeter::rich(),
        );
        let mut body = question(true);
        body["max_tokens"] = json!(asked);
        text(house.post(body).await.body).await;
        assert_eq!(stub.seen()[0].body["max_tokens"], json!(sent));
    }
}

#[tokio::test]
async fn upstream_failures_are_told_in_the_callers_terms() {
    let after = Says::Plain(
        429,
        Some(("retry-after", "500".into())),
        "{\"error\":{\"message\":\"slow\"}}".into(),
    );
    for (says, want, retry_after) in [
        (
            stub::status(401),
            (
                403,
                "permission_error",
                "the provider refused the platform's key with status 401: told you; set a valid key",
            ),
            None,
        ),
        (stub::status(422), (422, "some_error", "told you"), None),
        (stub::status(503), (503, "some_error", "told you"), None),
        (after, (429, "rate_limit_error", "slow"), Some("500")),
        (
            stub::first(0, End::Clean),
            (502, "api_error", "cut before the answer"),
            None,
        ),
    ] {
        let stub = Stub::always(says).await;
        for stream in [true, false] {
            let house = house(&stub);
            let reply = house.post(question(stream)).await;
            if matches!(reply.body, ReplyBody::Events(_)) {
                // It waited for a retry, and was told so; the tests of failures look at the rest.
                assert!([429, 502, 503].contains(&want.0), "{want:?}");
                text(reply.body).await;
                continue;
            }
            assert_eq!(
                reply
                    .headers
                    .get("retry-after")
                    .map(|v| v.to_str().unwrap()),
                retry_after
            );
            let (status, kind, message) = error(reply).await;
            assert_eq!((status, kind.as_str()), (want.0, want.1), "{message}");
            // A whole body that breaks off is no JSON.
            let says = match want.2 {
                "cut before the answer" => "the model's answer cannot be read",
                says => says,
            };
            assert!(
                message.contains(says) && !message.contains("sk-hidden"),
                "{message}"
            );
            let usage = house.meter.usages().pop().unwrap();
            assert_eq!(usage.outcome, CallOutcome::Failed);
            // What was cut may be billed; what was refused is not.
            assert_eq!(usage.tokens.input > 0, want.2.starts_with("cut"));
            assert!(house.pace.elapsed_s() <= 600.0);
        }
    }
}

#[tokio::test]
async fn the_smaller_routes() {
    let stub = Stub::always(stub::good()).await;
    let house = house(&stub);
    let body =
        json!({"model": "agent", "messages": [{"role": "user", "content": "word ".repeat(100)}]});
    let reply = house
        .send(Method::POST, "/v1/messages/count_tokens", body.to_string())
        .await;
    let count: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    let tokens = count["input_tokens"].as_u64().unwrap();
    assert!((100..130).contains(&tokens), "{count}");
    let reply = house.send(Method::GET, "/v1/models", "").await;
    let list: Value = serde_json::from_str(&text(reply.body).await).unwrap();
    let data = list["data"].as_array().unwrap().iter();
    let ids: Vec<_> = data.map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["agent", "title", "claude-sonnet-4-5"]);
    assert_eq!(stub.calls(), 0);
}

#[tokio::test]
async fn no_question_carries_a_secret_of_this_process_to_a_provider() {
    const SECRET: &str = "registry/key-1";
    let encoded = ["registry/key-1", "registry%2Fkey-1", "cmVnaXN0cnkva2V5"].join(" and ");
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        let answer = match dialect {
            Dialect::Messages => stub::good(),
            _ => stub::chat(&["Hello"], "stop"),
        };
        let stub = Stub::always(answer).await;
        let pace = VirtualPace::new();
        let mask = SecretMask::new([SECRET]);
        let llm = llm_of(route(dialect, &stub.url), &pace).hiding_secrets(&mask);
        let mut tally = QuestionTally::new(CallAllowance::new(llm.pace.now()));
        let said = vec![ConversationMessage::from_user(encoded.clone())];
        let own = RoutedRequest {
            route: RouteName::Agent.into(),
            request: &MessagesRequest::new("agent", 1_000, said),
            headers: &HeaderMap::new(),
        };
        llm.complete_answer(own, &mut tally).await.unwrap();
        let meter = TestMeter::rich();
        let house = House {
            gateway: ModelGateway::new(llm, Arc::clone(&meter) as _),
            meter,
            pace,
        };
        let mut asked = question(true);
        asked["messages"][0]["content"] = encoded.clone().into();
        text(house.post(asked).await.body).await;
        let seen = stub.seen();
        assert_eq!(seen.len(), 2);
        for seen in seen {
            let body = seen.body.to_string();
            assert!(
                body.contains("**** and **** and ****"),
                "{dialect:?}: {body}"
            );
        }
    }
}
