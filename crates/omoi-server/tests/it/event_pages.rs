//! The log of events in pages, and single events of it: of what one may read.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::event::Event;
use omoi_domain::id::OrgId;
use omoi_protocol::api::ListPage;
use omoi_protocol::live::EventFrame;

use crate::live_stream::spec_created;
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    the_log_is_read_in_pages_of_what_one_may_read,
    one_event_is_told_whole_to_whoever_may_read_it,
);

pub(crate) fn cost_recorded() -> Value {
    json!({ "event_type": "cost.recorded", "payload": {
        "purpose": "attempt", "attempt_id": null, "role": "planner", "model": "m", "tokens": 1, "cost_nanousd": 1,
        "latency_ms": 1, "estimated": false, "unrecorded": false,
    }})
}

fn sandbox_changed() -> Value {
    json!({ "event_type": "sandbox.state_changed", "payload": {
        "sandbox_id": UNKNOWN, "attempt_id": UNKNOWN, "from": "creating", "to": "creating", "rung": "process",
        "reason": null,
    }})
}

/// Tokens of an admin, of a viewer, and of the owner of another organisation.
async fn three_callers(desk: &SignInDesk) -> [String; 3] {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let mut tokens = Vec::new();
    for (mail, org, role) in [
        ("ada@example.org", OrgId::LOCAL, SystemRole::Admin),
        ("vic@example.org", OrgId::LOCAL, SystemRole::Viewer),
        ("eve@example.org", elsewhere, SystemRole::Owner),
    ] {
        desk.add_user(mail, &[(org, role)]).await;
        tokens.push(desk.sign_in(mail, PASSWORD).await.access_token);
    }
    tokens.try_into().unwrap()
}

/// Tells of a spec with a long title, of a cost, and of what only wakes loops; gives the number of the first.
async fn tell_three(desk: &SignInDesk) -> i64 {
    let test = &desk.test;
    let told = test.commit(async |tx| {
        let (project, spec) = (Some(test.spec.project_id), Some(test.spec.id));
        let mut large = spec_created(test);
        large.title = "long ".repeat(4_000);
        tx.emit(project, spec, Event::SpecCreated(large));
        for told in [cost_recorded(), sandbox_changed()] {
            let event: Event = serde_json::from_value(told).unwrap();
            tx.emit(project, spec, event);
        }
        Ok(())
    });
    told.await.unwrap();
    desk.events_head().await - 2
}

/// The numbers of all pages of a list of events.
async fn listed(desk: &SignInDesk, token: &str, query: &str) -> Vec<i64> {
    let (mut seqs, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/events?{query}{cursor}");
        let (status, told) = desk.ask((Method::GET, &path), Some(token), None).await;
        assert_eq!(status, 200, "{path}: {told}");
        let page: ListPage<EventFrame> = serde_json::from_value(told).unwrap();
        seqs.extend(page.items.iter().map(|frame| frame.seq));
        let Some(next) = page.next_cursor else {
            return seqs;
        };
        cursor = format!("&cursor={next}");
    }
}

async fn the_log_is_read_in_pages_of_what_one_may_read(desk: SignInDesk) {
    let task = desk.test.add_task(1, &[]).await;
    let long = tell_three(&desk).await;
    let cost = long + 1;
    let [ada, vic, eve] = three_callers(&desk).await;
    // What only wakes loops is told to nobody.
    let mut newest: Vec<i64> = (1..=cost).collect();
    assert_eq!(listed(&desk, &ada, "limit=2&sort=seq").await, newest);
    newest.reverse();
    assert_eq!(listed(&desk, &ada, "limit=2").await, newest);
    for query in [
        "entity_type=spec,task&event_type=cost.*",
        &format!("after_seq={long}"),
    ] {
        assert_eq!(listed(&desk, &ada, query).await, [cost], "{query}");
    }
    // Behind the last number that there can be is nothing, and no number is greater.
    let last = format!("after_seq={}", (1_u64 << 53) - 1);
    assert_eq!(listed(&desk, &ada, &last).await, Vec::<i64>::new());
    let beyond = format!("/events?after_seq={}", 1_u64 << 53);
    let (status, told) = desk.ask((Method::GET, &beyond), Some(&ada), None).await;
    let field = told["fields"][0]["path"].as_str();
    assert_eq!((status, field), (422, Some("after_seq")), "{told}");
    // Whoever may not see costs has none in the list.
    newest.retain(|seq| *seq != cost);
    assert_eq!(listed(&desk, &vic, "limit=3").await, newest);
    assert_eq!(listed(&desk, &eve, "").await, Vec::<i64>::new());
    let of_task = format!("task_id=TSK-001&project_id={}", task.project_id);
    let by_ticket = format!("entity_ids={}&event_types=task.*", task.ticket_id);
    let created = listed(&desk, &vic, &of_task).await;
    assert!(!created.is_empty());
    assert_eq!(listed(&desk, &vic, &by_ticket).await, created);
    let first = (Method::GET, "/events?limit=1");
    let (_, told) = desk.ask(first, Some(&vic), None).await;
    let cursor = told["next_cursor"].as_str().unwrap();
    for (query, token, status, code) in [
        (
            format!("limit=1&sort=seq&cursor={cursor}"),
            &vic,
            400,
            "invalid_cursor",
        ),
        (
            format!("limit=1&cursor={cursor}x"),
            &vic,
            400,
            "invalid_cursor",
        ),
        (
            format!("limit=1&cursor={cursor}"),
            &eve,
            400,
            "invalid_cursor",
        ),
        (
            "event_types=task.finished".to_owned(),
            &vic,
            422,
            "validation_failed",
        ),
        ("sort=title".to_owned(), &vic, 422, "validation_failed"),
        ("limit=201".to_owned(), &vic, 422, "validation_failed"),
        ("after=1".to_owned(), &vic, 422, "unknown_field"),
    ] {
        let path = format!("/events?{query}");
        let said = desk.code_of((Method::GET, &path), token, None).await;
        assert_eq!(said, refused(status, code), "{query}");
    }
}

async fn one_event_is_told_whole_to_whoever_may_read_it(desk: SignInDesk) {
    let long = tell_three(&desk).await;
    let [ada, vic, eve] = three_callers(&desk).await;
    let ask =
        async |path: &str, token: &str| desk.ask((Method::GET, path), Some(token), None).await;
    let (_, told) = ask(&format!("/events?limit=1&after_seq={}", long - 1), &vic).await;
    let frame: EventFrame = serde_json::from_value(told["items"][0].clone()).unwrap();
    assert!(frame.truncated && frame.payload == json!({}));
    let path = format!("/events/{}", frame.event_id);
    let (status, told) = ask(&path, &vic).await;
    let whole: EventFrame = serde_json::from_value(told).unwrap();
    assert_eq!((status, whole.seq, whole.truncated), (200, long, false));
    assert_eq!(whole.payload["title"].as_str().map(str::len), Some(20_000));
    let (_, told) = ask(&format!("/events?limit=1&after_seq={long}"), &ada).await;
    let cost = format!("/events/{}", told["items"][0]["event_id"].as_str().unwrap());
    assert_eq!(ask(&cost, &ada).await.0, 200);
    for (path, token) in [
        (&path, &eve),
        (&cost, &vic),
        (&format!("/events/{UNKNOWN}"), &ada),
    ] {
        let (status, told) = ask(path, token).await;
        let code = &told["error"];
        assert_eq!((status, code), (404, &json!("not_found")), "{path}");
    }
}
