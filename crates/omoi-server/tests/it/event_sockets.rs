//! Sockets of events: who is let in, what they are told, and how each of them ends.

use std::time::Instant;

use axum::http::Method;
use futures::SinkExt as _;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use omoi_accounts::commands::browser_session::keep_session;
use omoi_accounts::commands::member::{MemberAuthority, remove_member, set_member_role};
use omoi_accounts::commands::sign_out::sign_out_everywhere;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::event::{Event, EventKind};
use omoi_domain::id::{OrgId, UserId};
use omoi_server::ApiDoor;
use omoi_store::{Tx, memberships};
use omoi_testkit::deployment::TestDeployment;

use crate::api::TOKEN;
use crate::event_receiver::{Receiver, Served, tell_cost, tell_spec};
use crate::live_stream::spec_created;
use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, accounts_of};

both!(
    who_is_let_in_and_why_others_are_not,
    a_credential_ends_or_is_renewed,
    who_may_read_less_is_told_less_at_once,
    a_browser_listens_by_a_ticket_or_by_its_cookie,
    a_revocation_that_no_hint_tells_of_ends_a_socket,
);

#[tokio::test]
async fn a_receiver_that_reads_nothing_gets_a_gap_and_the_others_everything() {
    let test = TestDeployment::new().await;
    let served = Served::new(&test, &accounts_of(&test), ApiDoor::Folder).await;
    let mut slow = served.connect_narrowly(TOKEN).await;
    let seq = slow.told().await["seq"].as_i64().unwrap();
    let mut quick = served.enter("", TOKEN).await;
    // More than the line and the queue of a receiver hold.
    let (mut at, last) = (seq, seq + 800);
    let mut waits = Vec::new();
    while at < last {
        let asked = Instant::now();
        let told = test.commit(async |tx| {
            for _ in 0..50 {
                let mut large = spec_created(&test);
                large.title = "x".repeat(15_000);
                tx.emit(Some(test.spec.project_id), None, Event::SpecCreated(large));
            }
            Ok(())
        });
        told.await.unwrap();
        for _ in 0..50 {
            at += 1;
            assert_eq!(quick.told().await["seq"], at);
            waits.push(asked.elapsed());
        }
    }
    waits.sort_unstable();
    let p95 = waits[waits.len() * 95 / 100];
    println!("P95 of the quick receiver, beside one that reads nothing: {p95:.1?}");
    let mut at = seq;
    let gap = loop {
        let told = slow.told().await;
        if told["type"] == "gap" {
            break told;
        }
        at += 1;
        assert_eq!(told["seq"], at);
    };
    assert_eq!(gap["from_seq"], at + 1);
    let mut at = gap["to_seq"].as_i64().unwrap();
    while at < last {
        let told = slow.told().await;
        // It may be too slow again for what it was told last.
        at = match told["type"] == "gap" {
            true => told["to_seq"].as_i64().unwrap(),
            false => at + 1,
        };
        assert!(told["type"] == "gap" || told["seq"] == at, "{told}");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_told_and_the_rest_is_not() {
    let test = TestDeployment::new().await;
    let served = Served::new(&test, &accounts_of(&test), ApiDoor::Folder).await;
    let mut receiver = served.connect("event_types=cost.*", Some(TOKEN)).await;
    let welcome = receiver.told().await;
    let (seq, org) = (welcome["seq"].as_i64().unwrap(), OrgId::LOCAL.to_string());
    assert_eq!(welcome["heartbeat"], 20);
    assert_eq!(welcome["seqs"], json!({ org: seq }));
    tell_spec(&test).await;
    tell_cost(&test).await;
    let frame = receiver.told().await;
    assert_eq!(
        (&frame["seq"], &frame["event_type"]),
        (&json!(seq + 2), &json!("cost.recorded"))
    );
    let subscribed = receiver
        .ask(json!({ "type": "subscribe", "event_types": ["spec.*"] }))
        .await;
    let filters = json!({
        "event_types": ["spec.*"], "entity_types": [], "entity_ids": [], "project_ids": [],
    });
    assert_eq!(
        subscribed,
        json!({ "status": "subscribed", "filters": filters })
    );
    tell_cost(&test).await;
    tell_spec(&test).await;
    assert_eq!(receiver.told().await["seq"], seq + 4);
    // A new beginning, with what was missed.
    let again = json!({ "type": "subscribe", "mode": "replace", "after_seq": seq + 1 });
    assert_eq!(
        receiver.ask(again).await["filters"]["event_types"],
        json!([])
    );
    for n in 2..=4 {
        assert_eq!(receiver.told().await["seq"], seq + n);
    }
    let far = json!({ "type": "subscribe", "after_seq": (seq + 90).to_string() });
    assert_eq!(receiver.ask(far).await["status"], "subscribed");
    let reset = json!({ "type": "reset", "org_id": OrgId::LOCAL, "seq": seq + 4 });
    assert_eq!(receiver.told().await, reset);
    assert_eq!(
        receiver.ask(json!({ "type": "unsubscribe" })).await["status"],
        "unsubscribed"
    );
    tell_spec(&test).await;
    what_cannot_be_followed_changes_nothing(&mut receiver).await;
    // The process stops, and does not wait for who listens.
    test.deployment.lifecycle.stop();
    assert_eq!(receiver.closed().await, 1001);
}

async fn what_cannot_be_followed_changes_nothing(receiver: &mut Receiver) {
    for (message, code) in [
        (
            json!({ "type": "subscribe", "event_types": ["task.finished"] }),
            "validation_failed",
        ),
        (
            json!({ "type": "subscribe", "after_seq": "x" }),
            "invalid_cursor",
        ),
        (
            json!({ "type": "subscribe", "org_id": OrgId::LOCAL }),
            "validation_failed",
        ),
        (
            json!({ "type": "unsubscribe", "entity_ids": ["SPEC-1"] }),
            "validation_failed",
        ),
        (
            json!({ "type": "auth", "token": "made up" }),
            "unauthenticated",
        ),
        (json!("dance"), "validation_failed"),
    ] {
        let told = receiver.ask(message.clone()).await;
        assert_eq!(
            (&told["type"], &told["error"]),
            (&json!("error"), &json!(code)),
            "{message}"
        );
    }
}

#[tokio::test]
async fn who_is_silent_loud_or_too_many_is_let_go() {
    let test = TestDeployment::new().await;
    let served = Served::new(&test, &accounts_of(&test), ApiDoor::Folder).await;
    let mut receiver = served.enter("", TOKEN).await;
    // The reader's poll, the look at the access, and the next ping.
    test.clock.wait_for_sleepers(3).await;
    test.advance_clock(20);
    let ping = receiver.told().await;
    assert_eq!(ping["type"], "ping");
    assert!(ping["cursor"].is_string(), "{ping}");
    receiver.write(&json!({ "type": "pong" })).await;
    receiver.settle().await;
    for expected in [Ok(json!("ping")), Err(4408)] {
        test.clock.wait_for_sleepers(3).await;
        test.advance_clock(20);
        let told = receiver.next().await;
        assert_eq!(told.map(|told| told["type"].clone()), expected);
    }
    let mut receiver = served.enter("", TOKEN).await;
    for _ in 0..20 {
        receiver.settle().await;
    }
    receiver.write(&json!({ "type": "subscribe" })).await;
    assert_eq!(receiver.closed().await, 4429);
    for (n_bytes, told) in [(8 << 10, Ok(())), ((8 << 10) + 1, Err(1009))] {
        let mut receiver = served.enter("", TOKEN).await;
        let message = Message::Text(" ".repeat(n_bytes).into());
        receiver.0.send(message).await.unwrap();
        let answer = receiver.next().await;
        assert_eq!(
            answer.map(|told| assert_eq!(told["error"], "malformed_json")),
            told
        );
    }
}

async fn who_is_let_in_and_why_others_are_not(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    desk.add_user("nil@example.org", &[]).await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let both = [
        (OrgId::LOCAL, SystemRole::Member),
        (elsewhere, SystemRole::Owner),
    ];
    desk.add_user("bob@example.org", &both).await;
    let ada = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let nil = desk.sign_in("nil@example.org", PASSWORD).await.access_token;
    let bob = desk.sign_in("bob@example.org", PASSWORD).await.access_token;
    for (token, code) in [
        (None, 4401),
        (Some("made up"), 4401),
        (Some(nil.as_str()), 4403),
    ] {
        assert_eq!(
            served.connect("", token).await.closed().await,
            code,
            "{token:?}"
        );
    }
    let mut by_query = served.connect(&format!("token={ada}"), None).await;
    assert_eq!(by_query.told().await["type"], "welcome");
    // Of ten connections each is let in; the next one is not, until one ends.
    let mut taken = vec![by_query];
    while taken.len() < 10 {
        taken.push(served.enter("", &ada).await);
    }
    assert_eq!(served.connect("", Some(&ada)).await.closed().await, 4429);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let stream = format!("http://{}/api/v1/events/stream", served.address);
    let refused = client.get(stream).bearer_auth(&ada).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(refused.headers()["retry-after"], "30");
    // Who belongs to several is told of each, and says how far they are in each.
    let mut receiver = served.connect("", Some(&bob)).await;
    let welcome = receiver.told().await;
    assert_eq!(welcome["seqs"].as_object().unwrap().len(), 2);
    assert_eq!(welcome.get("seq"), None);
    tell_spec(&desk.test).await;
    assert_eq!(receiver.told().await["org_id"], json!(OrgId::LOCAL));
    let wrong = receiver
        .ask(json!({ "type": "subscribe", "after_seq": 1 }))
        .await;
    assert_eq!(wrong["error"], "invalid_cursor");
    let plain = desk.code_of((Method::GET, "/ws/events"), &ada, None).await;
    assert_eq!(plain, (426, "upgrade_required".to_owned()));
    drop(taken);
}

async fn a_credential_ends_or_is_renewed(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    for mail in ["ada@example.org", "eve@example.org"] {
        desk.add_user(mail, &[(OrgId::LOCAL, SystemRole::Viewer)])
            .await;
    }
    let token = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    // A token is good for a quarter of an hour.
    desk.test.advance_clock(820);
    let mut renewed = served.enter("", &token).await;
    let mut kept = served.enter("", &token).await;
    // The reader's poll, and of each socket the look at the access and the next ping.
    desk.test.clock.wait_for_sleepers(5).await;
    desk.test.advance_clock(20);
    for receiver in [&mut renewed, &mut kept] {
        let told = receiver.beat().await.unwrap();
        assert!(
            told.contains(&json!({ "type": "token_expiring", "in": 60 })),
            "{told:?}"
        );
    }
    let foreign = desk.sign_in("eve@example.org", PASSWORD).await.access_token;
    let auth = |token: &str| json!({ "type": "auth", "token": token });
    assert_eq!(
        renewed.ask(auth(&foreign)).await["error"],
        "unauthenticated"
    );
    let next = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    renewed.write(&auth(&next)).await;
    renewed.settle().await;
    for _ in 0..2 {
        desk.test.clock.wait_for_sleepers(5).await;
        desk.test.advance_clock(20);
        renewed.beat().await.unwrap();
        kept.beat().await.unwrap();
    }
    desk.test.clock.wait_for_sleepers(5).await;
    desk.test.advance_clock(20);
    assert_eq!(kept.beat().await, Err(4401));
    renewed.beat().await.unwrap();
    // A session that is ended anywhere ends the sockets of its tokens.
    let user = user_of(&desk, "ada@example.org").await;
    sign_out_everywhere(&desk.accounts, user).await.unwrap();
    assert_eq!(renewed.closed().await, 4401);
}

pub(crate) async fn user_of(desk: &SignInDesk, mail: &str) -> UserId {
    let address = mail.parse().unwrap();
    let find = async |tx: &mut Tx| omoi_store::users::find_by_email(tx, &address).await;
    let found = desk.accounts.store.system().read(find).await.unwrap();
    found.unwrap().id
}

async fn who_may_read_less_is_told_less_at_once(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    let admin = [(OrgId::LOCAL, SystemRole::Admin)];
    let ada = desk.add_user("ada@example.org", &admin).await;
    let token = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let mut signed_in = served.enter("event_types=ticket.*", &token).await;
    let key = json!({ "name": "ci", "scopes": ["spec:read", "cost:read"], "expires_in_days": 1 });
    let (_, made) = desk
        .ask((Method::POST, "/auth/api-keys"), Some(&token), Some(key))
        .await;
    // A credential that reaches less takes the place of one that reaches more.
    let narrow = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let (_, narrow) = desk
        .ask((Method::POST, "/auth/api-keys"), Some(&token), Some(narrow))
        .await;
    let mut renewed = served.enter("", &token).await;
    let auth = json!({ "type": "auth", "token": narrow["key"] });
    renewed.write(&auth).await;
    renewed.settle().await;
    tell_cost(&desk.test).await;
    tell_spec(&desk.test).await;
    assert_eq!(
        renewed.told().await["event_type"],
        EventKind::SpecCreated.as_str()
    );
    let mut receiver = served.enter("", made["key"].as_str().unwrap()).await;
    tell_cost(&desk.test).await;
    assert_eq!(
        receiver.told().await["event_type"],
        EventKind::CostRecorded.as_str()
    );
    let list = async |tx: &mut Tx| memberships::list_of_user(tx, ada).await;
    let theirs = desk.accounts.store.system().read(list).await.unwrap();
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let viewer = MemberRole::System(SystemRole::Viewer);
    set_member_role(&desk.accounts, operator, theirs[0].id, viewer, None)
        .await
        .unwrap();
    // A sign-in ends with the role that it was made in; a key of theirs reaches as far as they do. The look that the
    // change calls for comes before what happens after it.
    assert_eq!(signed_in.closed().await, 4401);
    receiver.settle().await;
    tell_cost(&desk.test).await;
    tell_spec(&desk.test).await;
    assert_eq!(
        receiver.told().await["event_type"],
        EventKind::SpecCreated.as_str()
    );
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    remove_member(&desk.accounts, operator, theirs[0].id)
        .await
        .unwrap();
    assert_eq!(receiver.closed().await, 4403);
}

async fn a_browser_listens_by_a_ticket_or_by_its_cookie(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    let pair = desk.sign_in("ada@example.org", PASSWORD).await;
    let token = pair.access_token.as_str();
    let ticket = async || {
        let (_, told) = desk
            .ask((Method::POST, "/auth/ws-ticket"), Some(token), None)
            .await;
        format!("ticket={}", told["ticket"].as_str().unwrap())
    };
    let first = ticket().await;
    let mut by_ticket = served.connect(&first, None).await;
    assert_eq!(by_ticket.told().await["type"], "welcome");
    assert_eq!(served.connect(&first, None).await.closed().await, 4401);
    let late = ticket().await;
    desk.test.advance_clock(60);
    assert_eq!(served.connect(&late, None).await.closed().await, 4401);
    let kept = keep_session(&desk.accounts, pair.session_id).await.unwrap();
    let cookie = format!("__Host-omoi_session={}", kept.cookie.expose_secret());
    for (origin, expected) in [
        (Some("https://omoi.example.org"), Ok(json!("welcome"))),
        (Some("https://board.example.org"), Ok(json!("welcome"))),
        (Some("https://evil.example"), Err(4403)),
        (None, Err(4403)),
    ] {
        let mut request = served.request("", None);
        let headers = request.headers_mut();
        headers.insert("cookie", cookie.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let (socket, _) = connect_async(request).await.unwrap();
        let told = Receiver(socket).next().await;
        assert_eq!(
            told.map(|told| told["type"].clone()),
            expected,
            "{origin:?}"
        );
    }
    // What makes no sense is told where a script hears it.
    for query in ["after_seq=x", "event_types=task.finished", "nonsense=1"] {
        let closed = served.connect(query, Some(token)).await.closed().await;
        assert_eq!(closed, 1008, "{query}");
    }
    // A ticket is good once, and whoever asked for it is looked for again.
    let user = user_of(&desk, "ada@example.org").await;
    sign_out_everywhere(&desk.accounts, user).await.unwrap();
    // A minute has passed: it was asked whether it is there.
    let mut told = by_ticket.next().await;
    while told.is_ok() {
        told = by_ticket.next().await;
    }
    assert_eq!(told, Err(4401));
}

async fn a_revocation_that_no_hint_tells_of_ends_a_socket(desk: SignInDesk) {
    let served = Served::new(&desk.test, &desk.accounts, ApiDoor::Network).await;
    desk.add_user("ada@example.org", &[(OrgId::LOCAL, SystemRole::Viewer)])
        .await;
    let token = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
    let mut receiver = served.enter("", &token).await;
    let user = user_of(&desk, "ada@example.org").await;
    // The reader's poll, the look at the access, and the next ping.
    desk.test.clock.wait_for_sleepers(3).await;
    desk.test.advance_clock(4);
    receiver.settle().await;
    // Another process, of which this one hears nothing.
    let elsewhere = accounts_of(&desk.test);
    sign_out_everywhere(&elsewhere, user).await.unwrap();
    desk.test.clock.wait_for_sleepers(3).await;
    desk.test.advance_clock(4);
    assert_eq!(receiver.closed().await, 4401);
}
