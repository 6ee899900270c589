//! Streams of events whose reader may read no more, or reads too slowly: how they end, and what is told.

use axum::Router;
use axum::body::BodyDataStream;
use axum::http::Method;
use omoi_accounts::commands::member::{MemberAuthority, remove_member};
use omoi_accounts::commands::sign_out::sign_out_everywhere;
use omoi_domain::access::role::SystemRole;
use omoi_domain::event::Event;
use omoi_domain::id::{OrgId, UserId};
use omoi_server::ApiDoor;
use omoi_store::{Tx, memberships};
use omoi_testkit::deployment::TestDeployment;
use serde_json::{Value, json};

use crate::api::{TOKEN, told};
use crate::event_receiver::{live_router, tell_spec};
use crate::live_stream::{next_text, open_as, spec_created};
use crate::sign_in_desk::{PASSWORD, SignInDesk, accounts_of};

both!(a_stream_ends_with_what_its_reader_may_read);

const MEMBER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Member)];

/// A stream of somebody who was told what happened.
struct LiveReader {
    case: &'static str,
    stream: BodyDataStream,
}

impl LiveReader {
    async fn open(desk: &SignInDesk, router: &Router, case: &'static str, token: &str) -> Self {
        let (status, _, stream) = open_as(router, token, "", None).await;
        assert_eq!(status, 200, "{case}");
        let mut reader = Self { case, stream };
        tell_spec(&desk.test).await;
        let told = next_text(&mut reader.stream).await.unwrap();
        assert!(told.contains("event: spec.created\n"), "{case}: {told}");
        reader
    }

    /// Expects the stream to end although more has happened.
    async fn expect_end(mut self, desk: &SignInDesk) {
        tell_spec(&desk.test).await;
        let told = next_text(&mut self.stream).await;
        assert_eq!(told, None, "{}", self.case);
    }
}

/// A new member and the token of their sign-in.
async fn join(desk: &SignInDesk, email: &str) -> (UserId, String) {
    let user = desk.add_user(email, &MEMBER).await;
    (user, desk.sign_in(email, PASSWORD).await.access_token)
}

/// A key of whoever signed in by `token`, and the address at which it is revoked.
async fn make_key(desk: &SignInDesk, token: &str) -> (String, String) {
    let body = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let route = (Method::POST, "/auth/api-keys");
    let (status, made) = desk.ask(route, Some(token), Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["api_key"]["id"].as_str().unwrap();
    (
        made["key"].as_str().unwrap().to_owned(),
        format!("/auth/api-keys/{id}"),
    )
}

async fn leave(desk: &SignInDesk, user: UserId) {
    let list = async |tx: &mut Tx| memberships::list_of_user(tx, user).await;
    let theirs = desk.accounts.store.system().read(list).await.unwrap();
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let removed = remove_member(&desk.accounts, operator, theirs[0].id).await;
    removed.unwrap();
}

async fn a_stream_ends_with_what_its_reader_may_read(desk: SignInDesk) {
    let router = live_router(&desk.test, &desk.accounts, ApiDoor::Network);
    let open = async |case, token: &str| LiveReader::open(&desk, &router, case, token).await;

    let (ada, token) = join(&desk, "ada@example.org").await;
    let reader = open("a session that is ended", &token).await;
    sign_out_everywhere(&desk.accounts, ada).await.unwrap();
    reader.expect_end(&desk).await;

    let (bob, token) = join(&desk, "bob@example.org").await;
    let (key, _) = make_key(&desk, &token).await;
    let readers = [
        open("a session of a member who is removed", &token).await,
        open("a key of a member who is removed", &key).await,
    ];
    leave(&desk, bob).await;
    for reader in readers {
        reader.expect_end(&desk).await;
    }

    let (_, token) = join(&desk, "cyd@example.org").await;
    let (key, path) = make_key(&desk, &token).await;
    let reader = open("a key that is revoked", &key).await;
    let said = desk.code_of((Method::DELETE, &path), &token, None).await;
    assert_eq!(said.0, 204, "{said:?}");
    reader.expect_end(&desk).await;

    // Another process ends the session, of which this one hears nothing.
    let (dan, token) = join(&desk, "dan@example.org").await;
    let reader = open("a session that is ended elsewhere", &token).await;
    let elsewhere = accounts_of(&desk.test);
    sign_out_everywhere(&elsewhere, dan).await.unwrap();
    desk.test.advance_clock(4);
    reader.expect_end(&desk).await;

    let (_, token) = join(&desk, "eve@example.org").await;
    let reader = open("a token that runs out", &token).await;
    desk.test.advance_clock(15 * 60);
    reader.expect_end(&desk).await;
}

/// The numbers of an event or a gap: its first and its last.
fn numbers_of(text: &str) -> (i64, i64) {
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    let told: Value = serde_json::from_str(data.unwrap()).unwrap();
    match text.contains("event: gap\n") {
        true => (
            told["from_seq"].as_i64().unwrap(),
            told["to_seq"].as_i64().unwrap(),
        ),
        false => {
            let seq = told["seq"].as_i64().unwrap();
            (seq, seq)
        }
    }
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_what_it_missed() {
    let test = TestDeployment::new().await;
    let router = live_router(&test, &accounts_of(&test), ApiDoor::Folder);
    let first = omoi_store::events::head(&mut test.read_tx().await)
        .await
        .unwrap();
    let (_, _, mut slow) = open_as(&router, TOKEN, "", None).await;
    let (_, _, mut quick) = open_as(&router, TOKEN, "", None).await;
    // Both have come to what happens now, after which one of them reads nothing.
    tell_spec(&test).await;
    let first = first + 1;
    for stream in [&mut slow, &mut quick] {
        let told = next_text(stream).await.unwrap();
        assert_eq!(numbers_of(&told), (first, first));
    }
    // More bytes than wait for one reader.
    let last = first + 350;
    let mut at = first;
    while at < last {
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
            let told = next_text(&mut quick).await.unwrap();
            assert_eq!(numbers_of(&told), (at, at));
        }
    }
    // Everything is told or named as missing, once and in its order.
    let (mut at, mut gap) = (first, None);
    while at < last {
        let told = next_text(&mut slow).await.unwrap();
        let (from, to) = numbers_of(&told);
        assert_eq!(from, at + 1, "{}", &told[..told.len().min(200)]);
        if to > from {
            assert!(
                gap.is_none() && told.starts_with(&format!("id: {to}\n")),
                "{told}"
            );
            gap = Some((from, to));
        }
        at = to;
    }
    // The list has what was dropped.
    let (from, to) = gap.unwrap();
    for seq in [from, to] {
        let path = format!("/events?after_seq={}&sort=seq&limit=1", seq - 1);
        let (status, _, page) = told(&router, &path).await;
        assert_eq!((status, &page["items"][0]["seq"]), (200, &json!(seq)));
    }
}
