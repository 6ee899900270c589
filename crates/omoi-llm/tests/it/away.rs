//! Models that are away: who waits for them, who passes them over, and what is told at the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Method};
use omoi_domain::id::AttemptId;
use omoi_domain::model_fallback::FallbackClass;
use omoi_llm::gateway::{GatewayRequest, REQUEST_BYTES_MAX, ReplyBody};
use omoi_llm::wire::dialect::Dialect;
use uuid::Uuid;

use crate::fallback::{house, pair, question, said};
use crate::stub::{self, Stub};
use crate::support::{START, TestMeter, caller, route};

/// Of several questions at one provider only some are turned away by it; the others wait at its circuit.
#[tokio::test]
async fn who_waits_at_an_open_circuit_is_saved_as_well() {
    for status in [429, 529] {
        let stub = Stub::always(stub::status(status)).await;
        let house = house(vec![route(Dialect::Messages, &stub.url)], TestMeter::rich());
        house.meter.saves.store(true, Ordering::Relaxed);
        let body = question(true);
        let all = tokio::join!(house.ask(&body), house.ask(&body), house.ask(&body));
        for (_, says) in [all.0, all.1, all.2] {
            assert!(says.contains("superseded_attempt"), "{status}: {says}");
        }
        let saved = house.meter.saved.lock().unwrap().clone();
        assert_eq!(saved.len(), 3, "{saved:?}");
        for failed in saved {
            assert_eq!(failed.status, Some(status));
        }
    }
}

#[tokio::test]
async fn the_refusal_of_the_last_model_is_not_hidden_behind_the_limit_of_the_first() {
    for (first, second, status, words) in [
        (
            stub::status(429),
            said(401, "invalid x-api-key"),
            403,
            "invalid x-api-key",
        ),
        (
            stub::status(529),
            said(400, "messages: no such field"),
            400,
            "no such field",
        ),
        (
            stub::status_after(429, 18_000),
            said(400, "messages: bad"),
            400,
            "messages: bad",
        ),
    ] {
        let (first, second) = (Stub::always(first).await, Stub::always(second).await);
        let house = house(pair(&first, &second), TestMeter::rich());
        house.meter.saves.store(true, Ordering::Relaxed);
        let (got, says) = house.ask(&question(false)).await;
        assert_eq!(got, status, "{says}");
        assert!(says.contains(words), "{says}");
        assert!(house.meter.saved.lock().unwrap().is_empty());
    }
    // The first said when it answers again, and the second never will: the work waits, and both are told.
    let (first, second) = (
        Stub::always(stub::status_after(429, 18_000)).await,
        Stub::always(said(404, "model: no such")).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    house.meter.saves.store(true, Ordering::Relaxed);
    let (_, says) = house.ask(&question(false)).await;
    assert!(says.contains("superseded_attempt"), "{says}");
    let saved = house.meter.saved.lock().unwrap().clone();
    let resets: Vec<_> = saved.iter().map(|failed| failed.reset_at).collect();
    assert_eq!(resets, [Some(START + Duration::from_secs(18_000))]);
    let told = house.passed_over();
    let named = |from: &str, to: &str, class| (from.to_owned(), to.to_owned(), class);
    let expected = [
        named("first", "second", FallbackClass::Limited),
        named("second", "first", FallbackClass::Refused),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_model_that_was_away_is_passed_over_for_some_minutes() {
    let script = vec![stub::status_after(429, 100); 2];
    let (first, second) = (
        Stub::start(script, stub::good()).await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    assert_eq!(house.ask(&question(true)).await.0, 200);
    assert_eq!(first.calls(), 1);
    let began = house.pace.elapsed_s();
    for _ in 0..3 {
        assert_eq!(house.ask(&question(true)).await.0, 200);
    }
    assert_eq!(first.calls(), 1, "it is not asked again");
    assert!(house.pace.elapsed_s() - began < 5.0, "and not waited for");
    assert_eq!(second.calls(), 4);
    let classes = house.passed_over().into_iter().map(|(_, _, class)| class);
    assert_eq!(classes.collect::<Vec<_>>(), [FallbackClass::Limited; 4]);
    // Then questions try it, one at a time, until it is back.
    let mut n_asked = second.calls();
    for _ in 0..4 {
        house.pace.advance(Duration::from_mins(25));
        assert_eq!(house.ask(&question(true)).await.0, 200);
        if second.calls() == n_asked {
            assert_eq!(house.ask(&question(true)).await.0, 200);
            assert_eq!(second.calls(), n_asked, "it is the first choice again");
            return;
        }
        n_asked = second.calls();
    }
    panic!("it never came back");
}

#[tokio::test]
async fn bodies_that_fill_the_room_keep_others_out_until_they_are_gone() {
    let stub = Stub::always(stub::good()).await;
    let house = house(vec![route(Dialect::Messages, &stub.url)], TestMeter::rich());
    let fill = |attempt| {
        let attempt = AttemptId::from_uuid(Uuid::from_u128(attempt));
        let room = || {
            house
                .gateway
                .reserve_body(Some(attempt), REQUEST_BYTES_MAX)
                .ok()
        };
        std::iter::from_fn(room).collect::<Vec<_>>()
    };
    // One attempt has a share, and leaves room for others.
    let one = fill(100);
    assert_eq!(one.len(), 3);
    assert_eq!(house.ask(&question(false)).await.0, 200);
    drop(one);
    let rooms: Vec<_> = (100..110).flat_map(fill).collect();
    assert_eq!(rooms.len(), 16);
    let (status, says) = house.ask(&question(false)).await;
    assert_eq!((status, stub.calls()), (503, 1), "{says}");
    drop(rooms);
    assert_eq!(house.ask(&question(false)).await.0, 200);
}

#[tokio::test]
async fn a_body_of_a_hostile_shape_is_refused_before_it_is_read() {
    let stub = Stub::always(stub::good()).await;
    let house = house(vec![route(Dialect::Messages, &stub.url)], TestMeter::rich());
    let post = async |path: &str, body: &str| {
        let request = GatewayRequest {
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let reply = house.gateway.handle_request(&caller(), request).await;
        let ReplyBody::Full(bytes) = reply.body else {
            panic!("it is refused with a whole answer");
        };
        (
            reply.status.as_u16(),
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    };
    let with = |more: &str| format!(r#"{{"model":"m","max_tokens":1,"messages":[0],{more}}}"#);
    let zeros = |n: usize| with(&format!(r#""a":[{}0]"#, "0,".repeat(n - 1)));
    let deep = with(&format!(r#""a":{}{}"#, "[".repeat(64), "]".repeat(64)));
    let tool = r#""tools":[{"type":"web_search","name":"x","type":"function"}]"#;
    let attempt = caller().principal.purpose.attempt();
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        for (body, words) in [
            (&deep, "deeper than 64"),
            (&with(tool), "names `type` twice"),
            (&zeros(500_000), "more than 500000 values"),
        ] {
            let (status, says) = post(path, body).await;
            assert!(says.contains(words), "{path}: {says}");
            assert_eq!(status, 400);
        }
        // A value takes more room than its text: two such bodies of 1 MB are more than the share of an attempt.
        let room = house.gateway.reserve_body(attempt, 64 << 20).ok();
        assert!(room.is_some());
        let (status, says) = post(path, &zeros(400_000)).await;
        assert_eq!(status, 503, "{path}: {says}");
    }
    assert_eq!(stub.calls(), 0);
}
