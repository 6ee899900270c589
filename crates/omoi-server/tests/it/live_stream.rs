//! Events as they happen, and those that were missed, as server-sent events.

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use futures::StreamExt as _;
use tower::ServiceExt as _;

use omoi_domain::event::{Event, SpecChange};
use omoi_protocol::error::ErrorBody;
use omoi_store::events;

use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::api::{TOKEN, bench, router_of};

omoi_testkit::on_both_databases!(what_was_missed_is_told_from_the_last_known_event_on);

pub(crate) fn spec_created(test: &TestDeployment) -> SpecChange {
    SpecChange {
        spec_id: test.spec.id,
        number: test.spec.number,
        title: test.spec.title.clone(),
        from: None,
        to: test.spec.status,
        blocked_by: None,
        reason: None,
    }
}

/// Opens the stream that `query` asks for.
async fn open(router: &Router, query: &str, known: Option<i64>) -> (u16, String, BodyDataStream) {
    open_as(router, TOKEN, query, known).await
}

/// The same with a credential: the status, the kind of answer, and what is told.
pub(crate) async fn open_as(
    router: &Router,
    token: &str,
    query: &str,
    known: Option<i64>,
) -> (u16, String, BodyDataStream) {
    let mut request = Request::builder()
        .uri(format!("/api/v1/events/stream?{query}"))
        .header(AUTHORIZATION, format!("Bearer {token}"));
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
    let buffering = response.headers().get("x-accel-buffering");
    assert_eq!(buffering.is_some(), status == 200);
    (status, media, response.into_body().into_data_stream())
}

pub(crate) async fn next_text(stream: &mut BodyDataStream) -> Option<String> {
    let chunk = stream.next().await?.unwrap();
    Some(String::from_utf8(chunk.to_vec()).unwrap())
}

/// What a stream that ends says.
pub(crate) async fn whole_text(mut stream: BodyDataStream) -> String {
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

async fn what_was_missed_is_told_from_the_last_known_event_on(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
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
    for unknown in [head + 9, i64::MAX - 1, i64::MAX] {
        let (_, _, stream) = open(&router, "once=true", Some(unknown)).await;
        assert_eq!(
            whole_text(stream).await,
            format!("id: {head}\nevent: reset\ndata: {{}}\n\n"),
            "{unknown}"
        );
    }
    for (query, expected) in [
        ("after_seq=-1", (400, "invalid_cursor")),
        ("after_seq=x", (400, "invalid_cursor")),
        ("after_seq=9223372036854775808", (400, "invalid_cursor")),
        ("event_types=task.finished", (422, "validation_failed")),
        ("entity_ids=SPEC-1", (422, "validation_failed")),
    ] {
        let (status, _, stream) = open(&router, query, None).await;
        let told = whole_text(stream).await;
        let told: ErrorBody = serde_json::from_str(&told).unwrap();
        assert_eq!((status, told.error.as_str()), expected, "{query}");
    }
}

#[tokio::test]
async fn what_happens_is_told_until_the_process_stops() {
    let (test, router) = bench().await;
    let (_, _, mut stream) = open(&router, "event_types=task.created", None).await;
    let (told, ()) = tokio::join!(next_text(&mut stream), async {
        // The reader, the stream that would say that it lives, and the look at who listens.
        test.clock.wait_for_sleepers(3).await;
        test.add_task(1, &[]).await;
        test.advance_clock(1);
    });
    let told = told.unwrap();
    assert!(
        told.starts_with("id: ") && told.contains("\"event_type\":\"task.created\""),
        "{told}"
    );
    // What it did not ask for is silence, behind which it need not go back.
    test.commit(async |tx| {
        let change = spec_created(&test);
        let (project, spec) = (Some(test.spec.project_id), Some(test.spec.id));
        tx.emit(project, spec, Event::SpecCreated(change));
        Ok(())
    })
    .await
    .unwrap();
    let (told, ()) = tokio::join!(next_text(&mut stream), async {
        for _ in 0..15 {
            test.clock.wait_for_sleepers(3).await;
            test.advance_clock(1);
        }
    });
    let head = events::head(&mut test.read_tx().await).await.unwrap();
    assert_eq!(told, Some(format!("id: {head}\n\n")));
    test.deployment.lifecycle.stop();
    assert_eq!(next_text(&mut stream).await, None);
}
