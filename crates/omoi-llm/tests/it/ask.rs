//! Tries, pauses, deadlines, circuits, and streams that go wrong.

use std::time::Duration;

use futures::StreamExt;
use http::HeaderMap;
use serde_json::json;

use omoi_domain::model_route::RouteName;
use omoi_llm::llm_client::{AskError, LlmClient, QuestionTally, RoutedRequest};
use omoi_llm::retry::{CALLS_MAX, CallAllowance};
use omoi_llm::upstream::{EventStream, UpstreamError};
use omoi_llm::wire::answer::ModelAnswer;
use omoi_llm::wire::anthropic::{MessagesRequest, StreamEvent};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, End, Says, Stub};
use crate::support::{START, VirtualPace, llm, llm_of, request, route};

struct Asked {
    result: Result<ModelAnswer, AskError>,
    tally: QuestionTally,
}

async fn complete_within(llm: &LlmClient, allowance: CallAllowance) -> Asked {
    let mut tally = QuestionTally::new(allowance);
    let (request, headers) = (request(), HeaderMap::new());
    let result = llm
        .complete_answer(ask(&request, &headers), &mut tally)
        .await;
    Asked { result, tally }
}

async fn complete(llm: &LlmClient) -> Asked {
    complete_within(llm, CallAllowance::new(llm.pace.now())).await
}

async fn open(llm: &LlmClient) -> Result<EventStream, AskError> {
    let mut tally = QuestionTally::new(CallAllowance::new(llm.pace.now()));
    let (request, headers) = (request(), HeaderMap::new());
    llm.stream_answer(ask(&request, &headers), &mut tally).await
}

fn ask<'a>(request: &'a MessagesRequest, headers: &'a HeaderMap) -> RoutedRequest<'a> {
    RoutedRequest {
        route: RouteName::Agent.into(),
        request,
        headers,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn statuses_that_may_pass_are_tried_again() {
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let stub = Stub::start(vec![stub::status(status)], stub::good()).await;
        let pace = VirtualPace::new();
        let asked = complete(&llm(&stub.url, &pace)).await;
        assert!(asked.result.is_ok(), "{status}");
        assert_eq!((stub.calls(), asked.tally.calls), (2, 2), "{status}");
        assert_eq!(pace.pauses().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn statuses_that_will_not_pass_are_final_whatever_their_text_says() {
    for status in [400, 401, 403, 404, 413, 422] {
        let text = "upstream said 500 Internal Server Error, 503, overloaded; please retry";
        let stub = Stub::always(Says::Plain(status, None, text.to_owned())).await;
        let pace = VirtualPace::new();
        let asked = complete(&llm(&stub.url, &pace)).await;
        let error = asked.result.unwrap_err();
        assert!(
            matches!(&error, AskError::Failed(UpstreamError::Status { status: s, message, .. })
                if *s == status && message == text),
            "{error:?}"
        );
        assert_eq!((stub.calls(), pace.pauses().len()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn pauses_double_with_jitter() {
    let stub = Stub::always(stub::status(503)).await;
    let mut seen = Vec::new();
    for seed in 0..20 {
        let pace = VirtualPace::seeded(seed);
        let mut allowance = CallAllowance::new(START);
        allowance.calls_left = 4;
        let asked = complete_within(&llm(&stub.url, &pace), allowance).await;
        assert!(matches!(
            asked.result,
            Err(AskError::OutOfCalls { calls: 4, .. })
        ));
        let pauses = pace.pauses();
        assert_eq!(pauses.len(), 3);
        for (pause, least, most) in [
            (pauses[0], 1.0, 1.5),
            (pauses[1], 2.0, 3.0),
            (pauses[2], 4.0, 6.0),
        ] {
            assert!((least..=most).contains(&pause), "{pauses:?}");
        }
        seen.push((pauses[0] * 1e6) as u64);
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 15, "jitter spreads the pauses: {seen:?}");
}

#[tokio::test]
async fn the_server_may_ask_for_patience() {
    for (header, least, most) in [
        ("7", 7.0, 7.0),
        // Seven seconds ahead of the test's clock.
        ("Wed, 21 Oct 2015 07:28:00 GMT", 7.0, 7.0),
        ("300", 300.0, 300.0),
        ("0", 1.0, 1.5),
        ("a while", 1.0, 1.5),
    ] {
        let stub = Stub::start(vec![stub::status_after(429, header)], stub::good()).await;
        let pace = VirtualPace::new();
        assert!(complete(&llm(&stub.url, &pace)).await.result.is_ok());
        let pauses = pace.pauses();
        assert!(
            pauses.len() == 1 && (least..=most).contains(&pauses[0]),
            "{header}: {pauses:?}"
        );
    }
    // For more than the question has: it is not asked again at all.
    let stub = Stub::always(stub::status_after(429, "3600")).await;
    let pace = VirtualPace::new();
    assert!(complete(&llm(&stub.url, &pace)).await.result.is_err());
    assert_eq!((stub.calls(), pace.pauses().len()), (1, 0));
}

#[tokio::test]
async fn deadline_and_calls_are_bounded() {
    let stub = Stub::always(stub::status(500)).await;
    let pace = VirtualPace::new();
    let asked = complete(&llm(&stub.url, &pace)).await;
    let error = asked.result.unwrap_err();
    assert!(
        matches!(
            error,
            AskError::OutOfTime { .. } | AskError::CircuitOpen { .. }
        ),
        "{error:?}"
    );
    assert!(pace.elapsed_s() <= 600.0 && asked.tally.calls <= CALLS_MAX);
    assert_eq!(stub.calls() as u32, asked.tally.calls);
    assert!(asked.tally.calls >= 6, "{}", asked.tally.calls);

    let stub = Stub::always(stub::status(500)).await;
    let pace = VirtualPace::new();
    let mut allowance = CallAllowance::new(START);
    allowance.until = START + Duration::from_hours(100);
    let asked = complete_within(&llm(&stub.url, &pace), allowance).await;
    let error = asked.result.unwrap_err();
    assert!(
        matches!(
            error,
            AskError::OutOfCalls {
                calls: CALLS_MAX,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        chain(&error).ends_with("status 500 (some_error): told you"),
        "{}",
        chain(&error)
    );
    assert_eq!(stub.calls(), CALLS_MAX as usize);
}

#[tokio::test]
async fn a_pause_that_would_pass_the_deadline_is_not_taken() {
    let stub = Stub::always(stub::status_after(503, 30)).await;
    let pace = VirtualPace::new();
    let mut allowance = CallAllowance::new(START);
    allowance.until = START + Duration::from_secs(70);
    let asked = complete_within(&llm(&stub.url, &pace), allowance).await;
    assert!(matches!(
        asked.result,
        Err(AskError::OutOfTime { calls: 3, .. })
    ));
    assert_eq!(pace.pauses(), [30.0, 30.0]);
}

#[tokio::test]
async fn broken_connections_and_streams_are_tried_again() {
    let overloaded =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    for (name, says) in [
        ("cut before anything", stub::first(0, End::Clean)),
        ("cut after the opening", stub::first(1, End::Clean)),
        ("cut inside a block", stub::first(5, End::Clean)),
        ("cut before the last event", stub::first(11, End::Clean)),
        ("reset at once", stub::first(0, End::Reset)),
        ("reset inside a block", stub::first(5, End::Reset)),
        (
            "cut inside an event",
            stub::raw("event: message_start\ndata: {\"type\":\"mess"),
        ),
        (
            "broken JSON",
            stub::raw("data: {\"type\":\"message_start\",\"mess\n\n"),
        ),
        ("not text", stub::raw(&b"data: \xff\xfe\n\n"[..])),
        ("no order", stub::says(&stub::anthropic_events()[2..])),
        (
            "overloaded inside",
            stub::says(&[stub::anthropic_start(), overloaded]),
        ),
    ] {
        let stub = Stub::start(vec![says], stub::good()).await;
        let pace = VirtualPace::new();
        let asked = complete(&llm(&stub.url, &pace)).await;
        let answer = asked
            .result
            .unwrap_or_else(|e| panic!("{name}: {}", chain(&e)));
        assert_eq!(answer.response.content.len(), 2, "{name}");
        assert_eq!((stub.calls(), pace.pauses().len()), (2, 1), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_begins_and_is_refused_costs_nothing() {
    let overloaded =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let refused = stub::says(&[stub::anthropic_start(), overloaded]);
    let stub = Stub::start(vec![refused; 3], stub::good()).await;
    let asked = complete(&llm(&stub.url, &VirtualPace::new())).await;
    assert!(asked.result.is_ok());
    assert_eq!(asked.tally.calls, 4);
    let tokens = asked.tally.total_tokens();
    // Those of the one answer that came.
    assert_eq!(
        (tokens.input, tokens.cache_read, tokens.output),
        (100, 20, 30)
    );
}

#[tokio::test]
async fn a_final_error_inside_a_stream_is_final() {
    let refused =
        json!({"type": "error", "error": {"type": "invalid_request_error", "message": "500"}});
    let stub = Stub::always(stub::says(&[stub::anthropic_start(), refused])).await;
    let pace = VirtualPace::new();
    let asked = complete(&llm(&stub.url, &pace)).await;
    assert!(matches!(
        asked.result,
        Err(AskError::Failed(UpstreamError::Status { status: 400, .. }))
    ));
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn unreachable_and_resetting_servers_are_tried_until_the_calls_are_spent() {
    let (resetting, _server) = stub::resetting().await;
    for url in [resetting, stub::nobody().await] {
        let pace = VirtualPace::new();
        let mut allowance = CallAllowance::new(START);
        allowance.calls_left = 3;
        let asked = complete_within(&llm(&url, &pace), allowance).await;
        let error = asked.result.unwrap_err();
        assert!(
            matches!(
                &error,
                AskError::OutOfCalls {
                    calls: 3,
                    last: Some(UpstreamError::Connect(_) | UpstreamError::Broken(_))
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn every_try_is_paid_for() {
    // 100 read and 20 cached each time; the cut try answered "Hello", estimated at two tokens.
    let stub = Stub::start(vec![stub::first(6, End::Clean)], stub::good()).await;
    let pace = VirtualPace::new();
    let asked = complete(&llm(&stub.url, &pace)).await;
    let tokens = asked.tally.total_tokens();
    assert_eq!(
        (tokens.input, tokens.cache_read, tokens.output),
        (200, 40, 32)
    );
}

#[tokio::test]
async fn a_stream_is_mended_only_until_it_shows_content() {
    let stub = Stub::start(vec![stub::first(1, End::Reset)], stub::first(4, End::Clean)).await;
    let pace = VirtualPace::new();
    let events: Vec<_> = open(&llm(&stub.url, &pace)).await.unwrap().collect().await;
    assert_eq!(stub.calls(), 2);
    let kinds: Vec<_> = events
        .iter()
        .map(|e| e.as_ref().map_or("!", StreamEvent::kind))
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "!"
        ]
    );
    assert!(matches!(events[4], Err(UpstreamError::Cut)));
}

/// Passes time in seconds once the stub was asked, for as long as `goes_on`.
async fn time_passes(stub: &Stub, pace: &VirtualPace, goes_on: impl Fn() -> bool) {
    while goes_on() {
        tokio::task::yield_now().await;
        if stub.calls() > 0 {
            pace.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn silence_before_content_is_tried_again() {
    for says in [
        Says::Nothing,
        stub::first(0, End::Hang),
        stub::first(1, End::Hang),
    ] {
        let stub = Stub::start(vec![says], stub::good()).await;
        let pace = VirtualPace::new();
        let llm = llm(&stub.url, &pace);
        let mut allowance = CallAllowance::new(START);
        allowance.until = START + Duration::from_hours(10);
        let asking = complete_within(&llm, allowance);
        let clock = time_passes(&stub, &pace, || stub.calls() < 2);
        let (asked, ()) = tokio::join!(asking, clock);
        assert!(asked.result.is_ok(), "{:?}", asked.result);
        assert!(pace.elapsed_s() >= 60.0);
    }
}

#[tokio::test]
async fn a_call_without_content_ends_by_a_limit_of_its_own() {
    let stub = Stub::always(Says::Nothing).await;
    let pace = VirtualPace::new();
    let llm = llm(&stub.url, &pace);
    let allowance = CallAllowance::within_time(START, Duration::from_secs(120));
    let asked = tokio::select! {
        asked = complete_within(&llm, allowance) => asked,
        () = time_passes(&stub, &pace, || true) => unreachable!(),
    };
    let error = asked.result.unwrap_err();
    assert!(
        matches!(error, AskError::OutOfTime { calls: 1, .. }),
        "{error:?}"
    );
    assert!(
        chain(&error).contains(
            "no content for 300 s, the most that its route allows; `llm.answer_times` sets more"
        ),
        "{error:?}"
    );
    assert!((300.0..305.0).contains(&pace.elapsed_s()));
}

/// The time for tries ends no call that is under way: a model that is slow is not away.
#[tokio::test]
async fn a_slow_model_outlasts_the_time_for_tries() {
    let (let_go, held) = tokio::sync::watch::channel(false);
    let held = Says::Held(held, Box::new(stub::good()));
    let stub = Stub::start(vec![held], stub::status(500)).await;
    let pace = VirtualPace::new();
    let llm = llm(&stub.url, &pace);
    let asking = complete_within(
        &llm,
        CallAllowance::within_time(START, Duration::from_secs(5)),
    );
    let clock = async {
        time_passes(&stub, &pace, || pace.elapsed_s() < 30.0).await;
        let_go.send_replace(true);
    };
    let (asked, ()) = tokio::join!(asking, clock);
    assert!(asked.result.is_ok(), "{:?}", asked.result);
    assert_eq!((stub.calls(), asked.tally.calls), (1, 1));
}

#[tokio::test]
async fn silence_and_length_end_a_stream() {
    for (wait_s, want) in [
        (0, "the model sent nothing for 300 s"),
        (1_501, "the answer took longer than 1800 s"),
        (1_900, "the answer took longer than 1800 s"),
    ] {
        let stub = Stub::always(stub::first(4, End::Hang)).await;
        let pace = VirtualPace::new();
        let mut stream = open(&llm(&stub.url, &pace)).await.unwrap();
        for _ in 0..4 {
            stream.next().await.unwrap().unwrap();
        }
        pace.advance(Duration::from_secs(wait_s));
        // The stream is polled first, so its guard is set when the clock moves.
        let (event, ()) = tokio::join!(stream.next(), async {
            pace.advance(Duration::from_mins(5));
        });
        assert_eq!(event.unwrap().unwrap_err().to_string(), want);
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn answers_that_are_too_large_end_and_are_not_tried_again() {
    let stub = Stub::always(stub::good()).await;
    let pace = VirtualPace::new();
    let mut route = route(Dialect::Messages, &stub.url);
    route.limits.bytes = 500;
    let llm = llm_of(route, &pace);
    let asked = complete(&llm).await;
    assert!(matches!(
        asked.result,
        Err(AskError::Failed(UpstreamError::TooLarge { limit: 500 }))
    ));
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn an_address_that_is_no_model_is_named() {
    let stub = Stub::always(Says::Plain(
        200,
        Some(("content-type", "text/html".into())),
        "<html><title>Down</title>".into(),
    ))
    .await;
    let pace = VirtualPace::new();
    let asked = complete(&llm(&stub.url, &pace)).await;
    // Whatever stands in front of a model shows such a page while the model is away. Its status says
    // success, so each call may be billed.
    assert_eq!((asked.tally.calls, stub.calls()), (3, 3));
    let read = asked.tally.total_tokens().input;
    assert!(read > 0 && read % 3 == 0, "{read}");
    let says = "the answer is `text/html`, not an event stream: an HTML page: Down";
    let error = chain(&asked.result.unwrap_err());
    assert!(error.ends_with(says), "{error}");
}

#[tokio::test]
async fn a_failing_target_is_left_alone_and_probed_once() {
    let stub = Stub::start(vec![stub::status(500); 5], stub::good()).await;
    let pace = VirtualPace::new();
    let llm = llm(&stub.url, &pace);
    let short = |calls_left| CallAllowance {
        until: llm.pace.now() + Duration::from_secs(5),
        calls_left,
    };
    for _ in 0..5 {
        assert!(complete_within(&llm, short(1)).await.result.is_err());
    }
    let open = complete_within(&llm, short(1)).await;
    let error = open.result.unwrap_err();
    assert!(
        matches!(&error, AskError::CircuitOpen { target, retry_after }
        if target.ends_with(&stub.url) && retry_after.as_secs() == 30),
        "{error:?}"
    );
    assert_eq!((stub.calls(), open.tally.calls), (5, 0));

    pace.advance(Duration::from_secs(30));
    let both = tokio::join!(
        complete_within(&llm, short(1)),
        complete_within(&llm, short(1))
    );
    assert!(both.0.result.is_ok() && both.1.result.is_ok());
    // The second waited for the first to show life.
    assert!(pace.pauses().contains(&1.0), "{:?}", pace.pauses());
    assert_eq!(stub.calls(), 7);
}

#[tokio::test]
async fn a_question_with_time_waits_for_the_circuit() {
    let stub = Stub::start(vec![stub::status(500); 5], stub::good()).await;
    let pace = VirtualPace::new();
    let asked = complete(&llm(&stub.url, &pace)).await;
    assert!(asked.result.is_ok());
    assert_eq!(stub.calls(), 6);
    assert!(pace.elapsed_s() >= 30.0, "{}", pace.elapsed_s());
}

#[tokio::test]
async fn requests_go_out_as_each_vendor_wants_them() {
    let stub = Stub::start(vec![stub::good()], stub::chat(&["Hel", "lo"], "stop")).await;
    for (dialect, path) in [
        (Dialect::Messages, "/v1/messages"),
        (Dialect::ChatCompletions, "/chat/completions"),
    ] {
        let pace = VirtualPace::new();
        let asked = complete(&llm_of(route(dialect, &stub.url), &pace)).await;
        assert!(asked.result.is_ok(), "{:?}", asked.result);
        let seen = stub.seen().pop().unwrap();
        assert_eq!(seen.path, path);
        let header = |name: &str| {
            seen.headers
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        match dialect {
            Dialect::Messages => {
                assert_eq!(header("x-api-key").as_deref(), Some("sk-hidden"));
                assert_eq!(header("anthropic-version").as_deref(), Some("2023-06-01"));
                assert_eq!(
                    seen.body,
                    json!({"model": "claude-sonnet-4-5", "max_tokens": 1000, "stream": true,
                    "messages": [{"role": "user", "content": "Say hello."}]})
                );
            }
            Dialect::Responses => unreachable!("not in the table"),
            Dialect::ChatCompletions => {
                assert_eq!(header("authorization").as_deref(), Some("Bearer sk-hidden"));
                assert_eq!(
                    seen.body,
                    json!({"model": "claude-sonnet-4-5", "max_tokens": 1000, "stream": true,
                    "stream_options": {"include_usage": true},
                    "messages": [{"role": "user", "content": "Say hello."}]})
                );
                let tokens = asked.tally.total_tokens();
                assert_eq!(
                    (tokens.input, tokens.cache_read, tokens.output),
                    (40, 10, 7)
                );
            }
        }
    }
}

#[tokio::test]
async fn an_openai_server_may_leave_out_the_closing_line_or_not_stream_at_all() {
    let chunk = |finish| {
        let data = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": finish}]});
        omoi_llm::wire::sse::encode_frame(None, &data.to_string())
    };
    let whole = json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message":
        {"role": "assistant", "content": null, "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}]});
    let json_type = Some(("content-type", "application/json".to_owned()));
    let cut = stub::raw(chunk(json!(null)));
    let error = stub::raw("data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n");
    let stub = Stub::start(
        vec![cut, error, stub::raw(chunk(json!("stop")))],
        Says::Plain(200, json_type, whole.to_string()),
    )
    .await;
    let pace = VirtualPace::new();
    let llm = llm_of(route(Dialect::ChatCompletions, &stub.url), &pace);
    let first = complete(&llm).await.result.unwrap();
    assert_eq!(
        stub.calls(),
        3,
        "a cut and a reported failure were tried again"
    );
    assert_eq!(first.response.content[0].as_text(), Some("hi"));
    let second = complete(&llm).await.result.unwrap();
    assert_eq!(
        serde_json::to_value(&second.response.content).unwrap(),
        json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}])
    );
}
