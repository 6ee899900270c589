//! Reports beyond their bounds, whatever they say.

use axum::http::StatusCode;
use serde_json::{Value, json};

use omoi_domain::attempt::TurnKind;
use omoi_store::{Json, attempts};

use crate::ask::{Route, refusal};
use crate::report_bench::{REPORTS, ReportBench};

#[tokio::test]
async fn a_body_of_a_hostile_shape_is_refused_before_it_is_read() {
    let (reports, bench) = (REPORTS, ReportBench::new().await);
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(64), "]".repeat(64));
    let many = format!("[{}0]", "0,".repeat(250_000));
    for Route { at, .. } in reports.iter().filter(|route| route.takes_body) {
        for (body, words) in [
            (deep.as_str(), "deeper than 64"),
            ("{\"a\": {\"b\": 1, \"b\": 2}}", "names `b` twice"),
            (many.as_str(), "more than 250000 values"),
        ] {
            let (status, text) = bench.post(at, body.to_owned()).await;
            assert!(text.contains(words), "{at}: {text}");
            assert_eq!(refusal((status, text)), (400, "malformed_json".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_turn_beyond_what_is_stored_is_refused_with_the_limit() {
    let bench = ReportBench::new().await;
    let turn = |n: u32, response: Value, session: Option<usize>| {
        let part = session.map(|bytes| {
            json!({ "session_id": "s", "offset": 0, "end": bytes, "added": "x".repeat(bytes) })
        });
        let turn = json!({ "n": n, "request_digest": "d", "response": response,
            "tool_results": [], "session": part });
        json!({ "turn": turn, "messages": [] }).to_string()
    };
    let refused = async |body: String, words: &str| {
        let (status, text) = bench.post("/turns", body).await;
        assert!(text.contains(words), "{text}");
        assert_eq!(refusal((status, text)), (422, "refused".to_owned()));
    };
    let words = "bytes of answer and tool results in a turn, at most 33554432";
    refused(turn(0, json!("x".repeat(32 << 20)), None), words).await;
    let words = "bytes of session in a turn, at most 33554432";
    refused(turn(0, json!([]), Some((32 << 20) + 1)), words).await;
    refused(turn(58, json!([]), None), "59 turns, at most 58").await;
    // The first turn stood for many.
    let attempt = bench.test.attempt_now(&bench.live.attempt).await;
    let stored = bench.test.commit(async |tx| {
        let turn = attempts::Turn {
            attempt_id: attempt.id,
            org_id: attempt.org_id,
            n: 0,
            kind: TurnKind::Answer,
            request_digest: "d".to_owned(),
            request_tokens: None,
            told_bytes: (128 << 20) - 10,
            session_bytes: 50_000_000 - 10,
            response: Json(json!([])),
            tool_results: Json(json!([])),
            session: None,
            wip_sha: None,
            created_at: attempt.created_at,
        };
        attempts::append_turn(tx, &mut attempt.clone(), &turn).await
    });
    assert!(stored.await.unwrap());
    let words = "134217735 bytes of answers and tool results in all, at most 134217728";
    refused(turn(1, json!("x".repeat(13)), None), words).await;
    let words = "50000001 bytes of session in all, at most 50000000";
    refused(turn(1, json!([]), Some(11)), words).await;
    let (status, text) = bench.post("/turns", turn(1, json!([]), Some(10))).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{text}");
    // What is stored already is no more than it was.
    let (status, text) = bench.post("/turns", turn(1, json!([]), Some(10))).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{text}");
}
