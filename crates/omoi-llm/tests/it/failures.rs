//! Providers that fail: what is told of it, to the meter and to a caller that waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use omoi_domain::outage::CallWait;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::gateway::{GatewayReply, GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::retry::{CALLS_MAX, RETRY_TIME};
use omoi_llm::route::{ModelRoute, ProviderKey};
use omoi_llm::wire::anthropic::{MessagesErrorBody, StreamEvent, status_of_error};
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::sse::SseDecoder;

use crate::stub::{self, End, Says, Stub};
use crate::support::{START, TestMeter, VirtualPace, caller, llm, llm_of, route};

const PAGE: &str = "<!DOCTYPE html><html><head><title>502 Bad\nGateway</title></head></html>";
const KEY: &str = "sk-test-0123456789abcdef";

struct House {
    gateway: ModelGateway,
    meter: Arc<TestMeter>,
    pace: Arc<VirtualPace>,
}

fn house(url: &str) -> House {
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    House {
        gateway: ModelGateway::new(llm(url, &pace), Arc::clone(&meter) as _),
        meter,
        pace,
    }
}

impl House {
    async fn ask(&self, stream: bool) -> GatewayReply {
        let body = json!({"model": "agent", "max_tokens": 1000, "stream": stream,
            "messages": [{"role": "user", "content": "a"}]});
        let request = GatewayRequest {
            method: Method::POST,
            path: "/v1/messages".to_owned(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        };
        self.gateway.handle_request(&caller(), request).await
    }

    /// Asks and reads the answer to its end, while time passes.
    async fn told(&self, stream: bool) -> (u16, String) {
        let answer = async {
            let reply = self.ask(stream).await;
            let bytes = match reply.body {
                ReplyBody::Full(bytes) => bytes.to_vec(),
                ReplyBody::Events(events) => events.collect::<Vec<_>>().await.concat(),
            };
            (reply.status.as_u16(), String::from_utf8(bytes).unwrap())
        };
        tokio::select! {
            answer = answer => answer,
            () = self.time_passes() => unreachable!("it never stops"),
        }
    }

    async fn time_passes(&self) {
        loop {
            // Loopback answers within some turns of the scheduler, long before a limit of a minute.
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            self.pace.advance(Duration::from_secs(1));
        }
    }

    fn failures(&self) -> Vec<FailedTry> {
        self.meter.failed.lock().unwrap().clone()
    }
}

fn said(status: u16, text: &str) -> Says {
    Says::Plain(status, None, text.to_owned())
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn each_failure_is_told_once_with_the_providers_words() {
    let json = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    let overloaded = json("overloaded_error", "Overloaded");
    for (name, says, status, words, is_retried) in [
        (
            "429",
            said(429, &json("rate_limit_error", "Slow\n down").to_string()),
            Some(429),
            "Slow down",
            true,
        ),
        (
            "500 with a page",
            said(500, PAGE),
            Some(500),
            "an HTML page: 502 Bad Gateway",
            true,
        ),
        (
            "200 with a page",
            said(200, PAGE),
            None,
            "an HTML page: 502 Bad Gateway",
            true,
        ),
        (
            "529 without a word",
            said(529, ""),
            Some(529),
            "overloaded_error",
            true,
        ),
        (
            "529 in the stream",
            stub::says(&[stub::anthropic_start(), overloaded]),
            Some(529),
            "Overloaded",
            true,
        ),
        (
            "a cut",
            stub::first(1, End::Clean),
            None,
            "cut before the answer was whole",
            true,
        ),
        (
            "a hang",
            Says::Nothing,
            None,
            "the model showed no content for",
            true,
        ),
        (
            "400",
            said(400, "prompt is too long"),
            Some(400),
            "prompt is too long",
            false,
        ),
        (
            "401",
            said(401, "invalid x-api-key"),
            Some(401),
            "invalid x-api-key",
            false,
        ),
        (
            "404",
            said(404, "model: no such"),
            Some(404),
            "model: no such",
            false,
        ),
    ] {
        for stream in [true, false] {
            if name == "a hang" && !stream {
                // A whole answer shows nothing before its end: it has all of its time, and that is longer than a
                // question is tried again.
                continue;
            }
            let stub = Stub::start(vec![says.clone()], stub::good()).await;
            let house = house(&stub.url);
            let (got, body) = house.told(stream).await;
            let failures = house.failures();
            let [failed] = failures.as_slice() else {
                panic!("{name}: {failures:?}");
            };
            assert_eq!(failed.status, status, "{name}");
            // A whole body that breaks off is no JSON.
            let words = match (name, stream) {
                ("a cut", false) => "the model's answer cannot be read",
                _ => words,
            };
            assert!(failed.words.contains(words), "{name}: {failed:?}");
            assert!(stub.url.ends_with(&failed.provider), "{name}: {failed:?}");
            assert_eq!((failed.n_calls, failed.calls_max), (1, CALLS_MAX), "{name}");
            assert_eq!(failed.until, START + RETRY_TIME, "{name}");
            assert_eq!(failed.next_at.is_some(), is_retried, "{name}");
            assert_eq!(got == 200, is_retried, "{name}: {body}");
        }
    }
    // Nobody is there at all, and that does not change: it is told once, that it is waited for, and
    // that nothing is tried any more.
    let house = house(&stub::nobody().await);
    let (status, _) = house.told(false).await;
    assert_eq!(status, 502);
    let failures = house.failures();
    let told: Vec<_> = failures
        .iter()
        .map(|f| (f.wait, f.next_at.is_some()))
        .collect();
    let expected = [
        (CallWait::Brief, true),
        (CallWait::Waiting, true),
        (CallWait::Saved, false),
    ];
    assert_eq!(told, expected);
    let failed = &failures[0];
    assert!(
        failed.words.starts_with("could not connect to the model"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn another_failure_of_the_same_question_is_news() {
    let script = vec![
        said(429, "a"),
        said(429, "a"),
        said(529, "a"),
        said(529, "b"),
    ];
    let stub = Stub::start(script, stub::good()).await;
    let house = house(&stub.url);
    assert_eq!(house.told(true).await.0, 200);
    let told: Vec<_> = house
        .failures()
        .iter()
        .map(|f| (f.n_calls, f.words.clone()))
        .collect();
    let expected = [(1, "a"), (3, "a"), (4, "b")].map(|(n, words)| (n, words.to_owned()));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_question_that_is_turned_away_for_a_minute_waits_and_that_is_news() {
    let busy = || stub::status_after(429, 45);
    for (script, told) in [
        // Turned away at 0 s and 45 s: the second pause ends after a minute.
        (vec![busy(), busy(), busy()], vec![(1, false), (2, true)]),
        (vec![busy()], vec![(1, false)]),
        // Another failure in between begins the minute anew.
        (
            vec![busy(), stub::status(500), busy()],
            vec![(1, false), (2, false), (3, false)],
        ),
        // What is wrong with the provider itself is no turning away.
        (vec![stub::status_after(500, 45); 3], vec![(1, false)]),
    ] {
        let stub = Stub::start(script, stub::good()).await;
        let house = house(&stub.url);
        assert_eq!(house.told(true).await.0, 200);
        let failures = house.failures();
        let seen: Vec<_> = failures
            .iter()
            .map(|f| (f.n_calls, f.wait == CallWait::Waiting))
            .collect();
        assert_eq!(seen, told);
        for failed in failures.iter().filter(|f| f.wait == CallWait::Waiting) {
            let wakes_at = failed.next_at.unwrap();
            assert!((80.0..100.0).contains(&wakes_at.seconds_since(START)));
        }
    }
}

#[tokio::test]
async fn an_attempt_that_is_turned_away_for_too_long_is_saved_and_told_that_it_is_over() {
    const FIVE_HOURS: u64 = 5 * 3_600;
    for stream in [true, false] {
        // The provider says when it answers again: nothing is tried before.
        let stub = Stub::always(stub::status_after(429, FIVE_HOURS)).await;
        let house = house(&stub.url);
        house.meter.saves.store(true, Ordering::Relaxed);
        let (status, body) = house.told(stream).await;
        assert_eq!((status, stub.calls()), (403, 1), "{body}");
        assert!(body.contains("superseded_attempt"), "{body}");
        let saved = house.meter.saved.lock().unwrap().clone();
        let resets: Vec<_> = saved.iter().map(|f| f.reset_at).collect();
        let reset_at = START + Duration::from_secs(FIVE_HOURS);
        assert_eq!(resets, [Some(reset_at)]);
        assert_eq!(saved, house.failures(), "it is told as well");

        // Or it does not: all the time of the question passes.
        let stub = Stub::always(stub::status(529)).await;
        let house = self::house(&stub.url);
        house.meter.saves.store(true, Ordering::Relaxed);
        let (_, body) = house.told(stream).await;
        assert!(body.contains("superseded_attempt"), "{body}");
        assert!(house.pace.elapsed_s() > RETRY_TIME.as_secs_f64() - 70.0);
        let saved = house.meter.saved.lock().unwrap().clone();
        assert_eq!(saved.iter().map(|f| f.reset_at).collect::<Vec<_>>(), [None]);
    }
    // Nobody goes on, or the failure says nothing about the provider: the caller hears it.
    for (says, saved, expected) in [
        (stub::status_after(429, FIVE_HOURS), 1, 429),
        (said(400, "no such field"), 0, 400),
        (stub::status(500), 0, 500),
    ] {
        let stub = Stub::always(says).await;
        let house = house(&stub.url);
        let (status, _) = house.told(false).await;
        assert_eq!(status, expected);
        assert_eq!(house.meter.saved.lock().unwrap().len(), saved);
    }
}

/// The kinds of the events of a stream, and the data of the last one.
fn events(body: &str) -> (Vec<String>, Value) {
    let frames = SseDecoder::default().push(body.as_bytes()).unwrap();
    let kinds = frames.iter().map(|frame| frame.event.clone().unwrap());
    let last = frames
        .last()
        .map(|frame| serde_json::from_str(&frame.data).unwrap());
    (kinds.collect(), last.unwrap())
}

#[tokio::test]
async fn a_caller_that_waits_for_a_retry_hears_pings() {
    let script = vec![stub::status_after(429, 45), stub::status(529)];
    let stub = Stub::start(script, stub::good()).await;
    let house = house(&stub.url);
    let (status, body) = house.told(true).await;
    let (kinds, _) = events(&body);
    let pings = kinds.iter().take_while(|kind| *kind == "ping").count();
    assert!(status == 200 && pings >= 2, "{kinds:?}");
    // What follows is a whole answer as if there had been no failure.
    assert_eq!(kinds[pings], "message_start");
    assert_eq!(kinds.last().unwrap(), "message_stop");
    assert_eq!(kinds.len(), pings + stub::anthropic_events().len());

    // Without a failure there is nothing to bridge.
    let stub = Stub::always(stub::good()).await;
    let (_, body) = self::house(&stub.url).told(true).await;
    assert_eq!(events(&body).0[0], "message_start");
}

#[tokio::test]
async fn a_caller_of_a_slow_model_hears_pings() {
    let (let_go, held) = tokio::sync::watch::channel(false);
    let held = Says::Held(held, Box::new(stub::good()));
    let stub = Stub::start(vec![held], stub::good()).await;
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let mut route = route(Dialect::Messages, &stub.url);
    route.limits.first_content = Duration::from_hours(1);
    let house = House {
        gateway: ModelGateway::new(llm_of(route, &pace), Arc::clone(&meter) as _),
        meter,
        pace,
    };
    let letting_go = async {
        while house.pace.elapsed_s() < 200.0 {
            tokio::task::yield_now().await;
        }
        let_go.send_replace(true);
    };
    let ((status, body), ()) = tokio::join!(house.told(true), letting_go);
    let (kinds, _) = events(&body);
    let pings = kinds.iter().take_while(|kind| *kind == "ping").count();
    // From 10 s on, every 10 s.
    assert!(status == 200 && (18..=21).contains(&pings), "{kinds:?}");
    assert_eq!(kinds[pings], "message_start");
    assert_eq!(house.failures(), []);
}

#[tokio::test]
async fn a_failure_that_is_slow_to_write_down_holds_up_no_call() {
    for stream in [true, false] {
        let stub = Stub::start(vec![stub::status(529)], stub::good()).await;
        let house = house(&stub.url);
        let held = house.meter.hold_telling();
        let let_go = async {
            // The next try is made, and answered, though the first is not written down.
            while stub.calls() < 2 {
                tokio::task::yield_now().await;
            }
            assert_eq!(house.failures(), []);
            held.send_replace(false);
        };
        let ((status, _), ()) = tokio::join!(house.told(stream), let_go);
        assert_eq!((status, house.failures().len()), (200, 1));
    }
}

#[tokio::test]
async fn a_failure_that_is_slow_to_write_down_holds_up_no_answer() {
    let stub = Stub::start(vec![stub::status(529)], stub::good()).await;
    let house = house(&stub.url);
    let held = house.meter.hold_telling();
    let answer = async {
        let ReplyBody::Events(mut events) = house.ask(true).await.body else {
            panic!("it streams");
        };
        let mut seen = String::new();
        while !seen.contains("content_block_start") {
            let bytes = events.next().await.unwrap();
            seen.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        assert_eq!(house.failures(), []);
        held.send_replace(false);
        events.collect::<Vec<_>>().await
    };
    tokio::select! {
        _ = answer => {}
        () = house.time_passes() => unreachable!("it never stops"),
    }
    assert_eq!(house.failures().len(), 1);
}

#[tokio::test]
async fn a_failure_after_the_head_is_an_event_that_means_the_same() {
    for (says, head, kind) in [
        (stub::status(429), 429, "rate_limit_error"),
        (stub::status(503), 503, "api_error"),
        (stub::status(529), 529, "overloaded_error"),
        (said(500, PAGE), 500, "api_error"),
        (stub::first(0, End::Clean), 502, "api_error"),
        (Says::Nothing, 504, "timeout_error"),
    ] {
        let stub = Stub::always(says).await;
        assert_eq!(house(&stub.url).told(false).await.0, head);
        let (status, body) = house(&stub.url).told(true).await;
        let (kinds, last) = events(&body);
        assert_eq!((status, kinds[0].as_str()), (200, "ping"), "{head}");
        assert_eq!(kinds.last().unwrap(), "error", "{head}");
        let told: MessagesErrorBody = serde_json::from_value(last.clone()).unwrap();
        assert_eq!(told.error.kind, kind, "{head}");
        assert_eq!(status_of_error(kind).unwrap() >= 500, head >= 500);
        assert!(matches!(
            serde_json::from_value(last).unwrap(),
            StreamEvent::Error(_)
        ));
    }
    // What no waiting mends is told in the head, as ever.
    let stub = Stub::always(stub::status(401)).await;
    assert_eq!(house(&stub.url).told(true).await.0, 403);
}

#[tokio::test]
async fn a_key_that_the_provider_echoes_is_told_to_nobody() {
    let echo = format!("bad key {KEY}, that is {KEY:?}");
    let error = json!({"type": "error", "error": {"type": "api_error", "message": echo.as_str()}});
    for says in [
        said(401, &echo),
        said(500, &format!("<html><title>{echo}</title></html>")),
        said(200, &echo),
        stub::says(&[stub::anthropic_start(), error]),
        stub::says(&[json!({"type": "content_block_start", "index": echo})]),
    ] {
        let stub = Stub::always(says).await;
        for stream in [true, false] {
            let route = ModelRoute {
                key: ProviderKey::Header(KEY.into()),
                ..route(Dialect::Messages, &stub.url)
            };
            let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
            let gateway = ModelGateway::new(llm_of(route, &pace), Arc::clone(&meter) as _);
            let house = House {
                gateway,
                meter,
                pace,
            };
            let (_, body) = house.told(stream).await;
            let failures = format!("{:?}", house.failures());
            assert!(
                !body.contains(KEY) && !failures.contains(KEY),
                "{body}\n{failures}"
            );
            assert!(body.contains("error"), "{body}");
            assert_eq!(stub.seen()[0].headers["x-api-key"], KEY);
        }
    }
}

#[tokio::test]
async fn an_account_without_credit_is_not_taken_for_a_budget_or_a_pace() {
    let error = json!({"type": "insufficient_quota", "code": "insufficient_quota", "param": null,
        "message": "You exceeded your current quota"});
    let quota = json!({ "error": error }).to_string();
    for (status, text) in [(402, "Insufficient Balance"), (429, quota.as_str())] {
        for stream in [true, false] {
            let stub = Stub::always(said(status, text)).await;
            let house = house(&stub.url);
            let (got, body) = house.told(stream).await;
            assert_eq!((got, stub.calls()), (403, 1), "{status}: {body}");
            assert!(body.contains("permission_error"), "{status}: {body}");
            assert!(body.contains("has no credit left"), "{status}: {body}");
        }
    }
}
