//! What a person is told of by themselves: mentions, questions and invitations, in all their organisations.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use omoi_accounts::commands::invitation::{InvitationWay, invite_member};
use omoi_accounts::commands::member::MemberAuthority;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, TicketId};
use omoi_domain::merge::MergeState;
use omoi_domain::ticket::ApprovalStatus;
use omoi_store::approvals::{self, Approval};
use omoi_store::{StoreError, Tx, merges, tickets};
use omoi_testkit::sample_rows;

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, UNKNOWN, refused};

both!(each_person_is_told_what_is_for_them);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";

/// One who is told something.
struct ToldPerson<'a> {
    desk: &'a SignInDesk,
    token: String,
}

impl ToldPerson<'_> {
    async fn list(&self, query: &str) -> Value {
        let path = format!("/notifications{query}");
        let (status, told) = self
            .desk
            .ask((Method::GET, &path), Some(&self.token), None)
            .await;
        assert_eq!(status, 200, "{told}");
        told
    }

    async fn unread(&self) -> u64 {
        let get = (Method::GET, "/notifications/unread-count");
        let (_, told) = self.desk.ask(get, Some(&self.token), None).await;
        told["unread_count"].as_u64().unwrap()
    }

    async fn read(&self, body: Value) -> (u16, Value) {
        let post = (Method::POST, "/notifications/read");
        self.desk.ask(post, Some(&self.token), Some(body)).await
    }

    /// The kinds of events that they are told of.
    async fn event_kinds(&self) -> Vec<String> {
        let path = "/events?event_types=notification.*";
        let (_, told) = self
            .desk
            .ask((Method::GET, path), Some(&self.token), None)
            .await;
        let items = told["items"].as_array().unwrap().iter();
        items
            .map(|event| event["event_type"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn each_person_is_told_what_is_for_them(desk: SignInDesk) {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    let ada_id = desk
        .add_user(ADA, &[(OrgId::LOCAL, SystemRole::Admin)])
        .await;
    let bob_id = desk
        .add_user(BOB, &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    let sign_in = async |mail| ToldPerson {
        desk: &desk,
        token: desk.sign_in(mail, PASSWORD).await.access_token,
    };
    let (ada, bob) = (sign_in(ADA).await, sign_in(BOB).await);
    let ticket = desk.test.ticket.id;
    let at = format!("/tickets/{ticket}/comments");
    let say = async |text: String| {
        let body = json!({ "content": text });
        let (status, told) = desk
            .ask((Method::POST, &at), Some(&ada.token), Some(body))
            .await;
        assert_eq!(status, 201, "{told}");
        told
    };
    // Nobody is told of what they say themselves.
    let comment = say(format!("@{ada_id} asks @{bob_id}")).await;
    assert_eq!((ada.unread().await, bob.unread().await), (0, 1));
    let listed = bob.list("").await;
    let item = &listed["items"][0];
    let found = (
        &item["kind"],
        &item["ticket_id"],
        &item["comment_id"],
        &item["read_at"],
    );
    let expected = (
        &json!("mention"),
        &json!(ticket),
        &comment["id"],
        &Value::Null,
    );
    assert_eq!(found, expected, "{listed}");
    assert_eq!(item["actor"]["id"], json!(ada_id.to_string()));
    assert_eq!(bob.event_kinds().await, ["notification.created"]);
    assert_eq!(ada.event_kinds().await, [""; 0], "another person's");
    // A mention that stays is not told again, a new one is.
    let path = format!("{at}/{}", comment["id"].as_str().unwrap());
    let edited = json!({ "content": format!("@{bob_id}, please") });
    desk.ask((Method::PATCH, &path), Some(&ada.token), Some(edited))
        .await;
    say(format!("again: @{bob_id}")).await;
    assert_eq!(bob.unread().await, 2);
    pages_and_reads(&ada, &bob).await;
    ada_is_asked(&desk, &ada, ticket).await;
    assert_eq!(bob.unread().await, 0, "who may not answer is not asked");

    is_invited(&desk, elsewhere, (&ada, &bob)).await;
}

/// An invitation is told until it is answered.
async fn is_invited(
    desk: &SignInDesk,
    elsewhere: OrgId,
    (ada, bob): (&ToldPerson<'_>, &ToldPerson<'_>),
) {
    let by = MemberAuthority::of_operator(elsewhere);
    let role = MemberRole::System(SystemRole::Viewer);
    let bob_there = (&BOB.parse().unwrap(), role);
    invite_member(&desk.accounts, by, bob_there, InvitationWay::Printed)
        .await
        .unwrap();
    assert_eq!((ada.unread().await, bob.unread().await), (0, 1));
    let invited = bob.list("?unread=true").await;
    assert_eq!(
        invited["invitations"][0]["organization_id"],
        json!(ELSEWHERE),
        "{invited}"
    );
    let (_, after) = bob.read(json!({ "all": true })).await;
    assert_eq!(
        after["unread_count"], 1,
        "an invitation waits until it is answered"
    );
}

/// Pages follow each other, and only one's own are read.
async fn pages_and_reads(ada: &ToldPerson<'_>, bob: &ToldPerson<'_>) {
    let first = bob.list("?limit=1").await;
    let before = first["next_before"].as_str().unwrap();
    assert_eq!(before, first["items"][0]["id"].as_str().unwrap());
    let second = bob.list(&format!("?limit=1&before={before}")).await;
    assert_eq!(second["next_before"], Value::Null, "{second}");
    let oldest = second["items"][0]["id"].clone();
    assert_ne!(oldest, first["items"][0]["id"]);
    for body in [
        json!({}),
        json!({ "ids": [oldest], "all": true }),
        json!({ "ids": vec![UNKNOWN; 201] }),
    ] {
        let (status, told) = bob.read(body.clone()).await;
        let found = (status, &told["fields"][0]["path"]);
        assert_eq!(found, (422, &json!("/ids")), "{body}: {told}");
    }
    let (status, _) = ada.read(json!({ "ids": [oldest] })).await;
    assert_eq!(
        (status, bob.unread().await),
        (200, 2),
        "read by another person"
    );
    let (_, told) = bob.read(json!({ "ids": [oldest, UNKNOWN] })).await;
    assert_eq!(told, json!({ "unread_count": 1 }));
    let unread = bob.list("?unread=true").await;
    assert_eq!(unread["items"].as_array().unwrap().len(), 1, "{unread}");
    let (_, told) = bob.read(json!({ "all": true })).await;
    assert_eq!(told, json!({ "unread_count": 0 }));
    assert_eq!(bob.list("").await["items"].as_array().unwrap().len(), 2);
}

/// A question is told to whoever may answer it, until somebody did.
async fn ada_is_asked(desk: &SignInDesk, ada: &ToldPerson<'_>, ticket: TicketId) {
    let asked = desk
        .test
        .commit(async |tx: &mut Tx| -> Result<_, StoreError> {
            let mut ticket = tickets::get(tx, ticket).await?;
            tickets::set_approval(tx, &mut ticket, ApprovalStatus::PendingReview, None).await?;
            let deadline = tx.now() + Duration::from_secs(60);
            approvals::ask_about_ticket(tx, &ticket, deadline).await
        });
    is_told_until_closed(desk, ada, asked.await.unwrap()).await;
    let task = desk.test.add_task(1, &[]).await;
    let ask = async |tx: &mut Tx| -> Result<_, StoreError> {
        let merge = sample_rows::merge(tx, &task, MergeState::Manual, &"a".repeat(40));
        merges::insert(tx, &merge).await?;
        approvals::ask_about_conflict(tx, &merge, &task, "which side?".to_owned()).await
    };
    let asked = desk.test.commit(ask).await.unwrap();
    assert_eq!(asked.kind, ApprovalKind::MergeConflict);
    is_told_until_closed(desk, ada, asked).await;
    let nobody = desk
        .code_of((Method::GET, "/notifications"), "made up", None)
        .await;
    assert_eq!(nobody, refused(401, "unauthenticated"));
}

async fn is_told_until_closed(desk: &SignInDesk, ada: &ToldPerson<'_>, mut approval: Approval) {
    let told = ada.list("?unread=true").await;
    let found = (&told["items"][0]["kind"], &told["items"][0]["approval_id"]);
    assert_eq!(found, (&json!("approval"), &json!(approval.id)), "{told}");
    let tenant = &desk.test.deployment.store;
    let close = async |tx: &mut Tx| {
        approvals::close_approval(tx, &mut approval, ApprovalState::TimedOut, None).await
    };
    tenant
        .write(CrashPoint::TicketChanged, close)
        .await
        .unwrap();
    assert_eq!(ada.unread().await, 0);
}
