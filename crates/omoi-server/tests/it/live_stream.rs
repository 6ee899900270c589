//! Events as they happen, and those that were missed, as server-sent events.

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use futures::StreamExt as _;
use tower::ServiceExt as _;

use omoi_store::events;

use crate::api::{TOKEN, bench};

/// Opens the stream that `query` asks for.
async fn open(router: &Router, query: &str, known: Option<i64>) -> (u16, String, BodyDataStream) {
    let mut request = Request::builder()
        .uri(format!("/api/v1/events/stream?{query}"))
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    if let Some(known) = known {
        request = request.header("last-event-id", known.to_string());
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let media = response.headers()[CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    let status = response.status().as_u16();
    (status, media, response.into_body().into_data_stream())
}

async fn next_text(stream: &mut BodyDataStream) -> Option<String> {
    let chunk = stream.next().await?.unwrap();
    Some(String::from_utf8(chunk.to_vec()).unwrap())
}

/// What a stream that ends says.
async fn whole_text(mut stream: BodyDataStream) -> String {
    let mut whole = String::new();
    while let Some(text) = next_text(&mut stream).await {
        whole += &text;
    }
    whole
}

/// The ids of the events in it.
fn ids_of(text: &str) -> Vec<i64> {
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_was_missed_is_told_from_the_last_known_event_on() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let head = events::head(&mut test.read_tx().await).await.unwrap();
    let (status, media, stream) = open(&router, "once=true&after_seq=0", None).await;
    assert_eq!((status, media.as_str()), (200, "text/event-stream"));
    let whole = whole_text(stream).await;
    assert_eq!(ids_of(&whole), (1..=head).collect::<Vec<_>>());
    // What the header says is newer than the address that a browser asks again.
    let (_, _, stream) = open(&router, "once=true&after_seq=0", Some(head - 1)).await;
    assert_eq!(ids_of(&whole_text(stream).await), [head]);
    let asked = format!(
        "once=true&after_seq=0&event_types=task.*&entity_ids={}",
        task.ticket_id
    );
    let (_, _, stream) = open(&router, &asked, None).await;
    let told = whole_text(stream).await;
    assert!(
        told.contains("event: task.created\n") && !told.contains("event: spec."),
        "{told}"
    );
    let (_, _, stream) = open(&router, "once=true", Some(head + 9)).await;
    assert_eq!(
        whole_text(stream).await,
        format!("id: {head}\nevent: reset\ndata: {{}}\n\n")
    );
    for query in [
        "after_seq=-1",
        "after_seq=x",
        "event_types=task.finished",
        "entity_ids=SPEC-1",
    ] {
        let (status, _, stream) = open(&router, query, None).await;
        let told = whole_text(stream).await;
        assert!(
            status == 422 && told.contains("validation_failed"),
            "{query}: {told}"
        );
    }
}

#[tokio::test]
async fn what_happens_is_told_until_the_process_stops() {
    let (test, router) = bench().await;
    let (_, _, mut stream) = open(&router, "event_types=task.created", None).await;
    let (told, ()) = tokio::join!(next_text(&mut stream), async {
        // The reader, and the stream that would say that it lives.
        test.clock.wait_for_sleepers(2).await;
        test.add_task(1, &[]).await;
        test.advance_clock(1);
    });
    let told = told.unwrap();
    assert!(
        told.starts_with("id: ") && told.contains("\"event_type\":\"task.created\""),
        "{told}"
    );
    let (told, ()) = tokio::join!(next_text(&mut stream), async {
        for _ in 0..15 {
            test.clock.wait_for_sleepers(2).await;
            test.advance_clock(1);
        }
    });
    assert_eq!(told.as_deref(), Some(":\n\n"));
    test.deployment.lifecycle.stop();
    assert_eq!(next_text(&mut stream).await, None);
}
