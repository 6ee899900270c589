//! The board: what it shows, and who gets into a column that is nearly full.

use axum::Router;
use axum::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use omoi_domain::actor::Actor;
use omoi_domain::audit::AuditAction;
use omoi_domain::id::{OrgId, UserId};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::api::{bench, router_of};
use crate::sign_in_desk::newest_acts;
use crate::tickets::{post, request, write_ticket};
use crate::versions::{send, show};

const BASE: &str = "/api/v1";

/// A column of the board as it is told: how many it has, and the titles it shows.
async fn column(router: &Router, id: &str) -> (u64, Vec<String>) {
    let (status, _, board) = send(router, show(&format!("{BASE}/board/view"))).await;
    assert_eq!(status, 200, "{board}");
    let columns = board["columns"].as_array().unwrap();
    let column = columns.iter().find(|column| column["id"] == id).unwrap();
    let tickets = column["tickets"].as_array().unwrap().iter();
    let titles = tickets.map(|ticket| ticket["title"].as_str().unwrap().to_owned());
    (column["current_count"].as_u64().unwrap(), titles.collect())
}

/// Moves a ticket as it was read.
async fn move_to(router: &Router, ticket: &Value, column: &str, more: Value) -> (u16, Value) {
    let mut body = json!({
        "ticket_id": ticket["id"], "target_column_id": column, "expected_version": ticket["version"],
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    post(router, "/board/move", body).await
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_board_shows_tickets_where_people_put_them() {
    let (_test, router) = bench().await;
    let mut written = Vec::new();
    for title in ["a", "b", "c", "d"] {
        written.push(write_ticket(&router, title).await);
    }
    assert_eq!(
        column(&router, "backlog").await,
        (4, ["a", "b", "c", "d"].map(str::to_owned).to_vec())
    );
    // An order within the column is no change of the ticket.
    for (index, position, expected) in [
        (3, 0, "dabc"),
        (0, 2, "dbac"),
        (1, 9, "dacb"),
        (2, 1, "dcab"),
    ] {
        let (status, moved) = move_to(
            &router,
            &written[index],
            "backlog",
            json!({ "position": position }),
        )
        .await;
        assert_eq!((status, &moved["version"]), (200, &json!(0)), "{moved}");
        assert_eq!(column(&router, "backlog").await.1.concat(), expected);
    }
    let (status, moved) = move_to(&router, &written[0], "analyzing", json!({})).await;
    assert_eq!(
        (status, &moved["new_phase"]),
        (200, &json!("PHASE_REQUIREMENTS")),
        "{moved}"
    );
    assert_eq!(
        column(&router, "analyzing").await,
        (1, vec!["a".to_owned()])
    );
    // It was moved meanwhile for whoever read it before.
    let stale = move_to(&router, &written[0], "building", json!({})).await;
    assert_eq!(
        (stale.0, &stale.1["error"]),
        (412, &json!("stale_version")),
        "{stale:?}"
    );
    let unmeant = json!({ "ticket_id": written[1]["id"], "target_column_id": "analyzing" });
    let said = post(&router, "/board/move", unmeant).await;
    assert_eq!(
        (said.0, &said.1["error"]),
        (428, &json!("precondition_required"))
    );
    for (target, status, code) in [
        ("nowhere", 422, "validation_failed"),
        ("blocked", 422, "validation_failed"),
        ("done", 409, "invalid_transition"),
    ] {
        let said = move_to(&router, &written[1], target, json!({})).await;
        assert_eq!(
            (said.0, said.1["error"].as_str()),
            (status, Some(code)),
            "{target}: {said:?}"
        );
    }
    // What is held up is shown there, and goes on by a move.
    let held = post(
        &router,
        &format!("/tickets/{}/block", written[2]["id"].as_str().unwrap()),
        json!({ "blocker_type": "dependency" }),
    )
    .await;
    assert_eq!(column(&router, "blocked").await, (1, vec!["c".to_owned()]));
    let (status, moved) = move_to(&router, &held.1, "backlog", json!({ "position": 0 })).await;
    assert_eq!(
        (status, &moved["new_column"]),
        (200, &json!("backlog")),
        "{moved}"
    );
    assert_eq!(column(&router, "backlog").await.1.concat(), "cdb");
    let auto = post(&router, "/board/auto-transition/TKT-001", json!({})).await;
    assert_eq!(
        (auto.0, &auto.1["error"]),
        (409, &json!("gate_not_met")),
        "{auto:?}"
    );
}

#[tokio::test]
async fn columns_are_changed_for_the_version_that_was_read() {
    let (test, router) = bench().await;
    write_ticket(&router, "a").await;
    let path = format!("/projects/{}/board-columns", test.spec.project_id);
    let (status, tag, read) = send(&router, show(&format!("{BASE}{path}"))).await;
    assert_eq!((status, tag.as_deref()), (200, Some("\"0\"")), "{read}");
    let set = async |body: &Value, meant: Option<&str>| {
        let (status, tag, told) = send(&router, request(Method::PUT, &path, body, meant)).await;
        (status, tag, told)
    };
    let mut changed = read.clone();
    changed["columns"][0]["wip_limit"] = json!(1);
    changed["columns"][0]["name"] = json!("Later");
    assert_eq!(set(&changed, None).await.0, 428);
    assert_eq!(set(&changed, Some("\"7\"")).await.0, 412);
    let mut broken = read.clone();
    broken["columns"].as_array_mut().unwrap().pop();
    let refused = set(&broken, Some("\"0\"")).await;
    assert_eq!(
        (refused.0, &refused.2["fields"][0]["path"]),
        (422, &json!("/columns")),
        "{refused:?}"
    );
    let (status, tag, told) = set(&changed, Some("\"0\"")).await;
    assert_eq!(
        (status, tag.as_deref(), &told),
        (200, Some("\"1\""), &changed)
    );
    // Tickets are written whatever the limit, and what is too much is told.
    write_ticket(&router, "b").await;
    let (_, _, violations) = send(&router, show(&format!("{BASE}/board/wip-violations"))).await;
    let expected = json!([{
        "column_id": "backlog", "column_name": "Later", "current_count": 2, "wip_limit": 1, "excess": 1,
    }]);
    assert_eq!(violations["items"], expected);
    let (_, _, stats) = send(&router, show(&format!("{BASE}/board/stats"))).await;
    assert_eq!(stats["columns"][0]["utilization"], 2.0, "{stats}");
    assert_eq!(stats["columns"][6]["utilization"], Value::Null, "{stats}");
    let (_, _, shown) = send(&router, show(&format!("{BASE}/board/column/PHASE_DESIGN"))).await;
    assert_eq!(shown["id"], "analyzing", "{shown}");
    let (_, _, phases) = send(&router, show(&format!("{BASE}/configs"))).await;
    assert_eq!(phases["items"].as_array().unwrap().len(), 8, "{phases}");
    let (_, _, phase) = send(&router, show(&format!("{BASE}/configs/PHASE_REQUIREMENTS"))).await;
    assert_eq!(phase["gates"][0]["rule"]["chars_min"], 500, "{phase}");
}

/// People who move tickets into one column at once.
const MOVERS: usize = 20;

#[tokio::test]
async fn a_limit_binds_every_way_into_its_column() {
    let (test, router) = bench().await;
    let path = format!("/projects/{}/board-columns", test.spec.project_id);
    let (_, _, mut columns) = send(&router, show(&format!("{BASE}{path}"))).await;
    assert_eq!(columns["columns"][1]["id"], "analyzing", "{columns}");
    columns["columns"][1]["wip_limit"] = json!(1);
    let set = request(Method::PUT, &path, &columns, Some("\"0\""));
    assert_eq!(send(&router, set).await.0, 200);
    let first = write_ticket(&router, "a").await["ticket_ref"].clone();
    let second = write_ticket(&router, "b").await["ticket_ref"].clone();
    let act = async |ticket: &Value, act: &str, body: Value| {
        let path = format!("/tickets/{}/{act}", ticket.as_str().unwrap());
        let (status, told) = post(&router, &path, body).await;
        (
            status,
            told["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (taken, full) = ((200, String::new()), (409, "wip_limit_exceeded".to_owned()));
    let analyzing = || json!({ "to_status": "analyzing" });
    assert_eq!(act(&first, "transition", analyzing()).await, taken);
    for (way, body) in [
        ("transition", analyzing()),
        ("progress", json!({})),
        ("phase-transition", json!({ "to_phase": "PHASE_DESIGN" })),
    ] {
        assert_eq!(act(&second, way, body).await, full, "{way}");
    }
    let path = format!("/tickets/{}", second.as_str().unwrap());
    let patch = request(
        Method::PATCH,
        &path,
        &json!({ "status": "analyzing" }),
        None,
    );
    assert_eq!(send(&router, patch).await.0, 409);
    // What is held up leaves room, and comes back where there is some.
    let held = json!({ "blocker_type": "dependency" });
    assert_eq!(act(&first, "block", held).await, taken);
    assert_eq!(act(&second, "transition", analyzing()).await, taken);
    assert_eq!(act(&first, "unblock", json!({})).await, full);
    let forced = json!({ "to_status": "building", "force": true, "reason": "now" });
    assert_eq!(act(&second, "transition", forced).await, taken);
    assert_eq!(act(&first, "unblock", json!({})).await, taken);
}

/// Twenty move into `analyzing`, which takes five and has one.
async fn a_column_takes_no_more_than_its_limit(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    let mut tickets = Vec::new();
    for n in 0..=MOVERS {
        tickets.push(write_ticket(&router, &format!("{n:02}")).await);
    }
    let first = move_to(&router, &tickets[0], "analyzing", json!({})).await;
    assert_eq!(first.0, 200, "{first:?}");
    let moves = tickets[1..].iter().map(|ticket| {
        let router = &router;
        async move { move_to(router, ticket, "analyzing", json!({ "position": 0 })).await }
    });
    let done = join_all(moves).await;
    let n_moved = done.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(n_moved, 4, "{done:?}");
    for (_, refused) in done.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(refused["error"], "wip_limit_exceeded", "{refused}");
        assert_eq!(
            refused["context"],
            json!({ "limit": 5, "current": 5 }),
            "{refused}"
        );
    }
    let (count, titles) = column(&router, "analyzing").await;
    // All were put before the one that was there.
    assert_eq!(
        (count, titles.last().map(String::as_str)),
        (5, Some("00")),
        "{titles:?}"
    );
    let forced = move_to(
        &router,
        tickets[1..]
            .iter()
            .zip(&done)
            .find(|(_, (status, _))| *status != 200)
            .unwrap()
            .0,
        "analyzing",
        json!({ "force": true, "reason": "urgent" }),
    )
    .await;
    assert_eq!(forced.0, 200, "{forced:?}");
    assert_eq!(column(&router, "analyzing").await.0, 6);
    let told = newest_acts(test.deployment.store.store(), OrgId::LOCAL, 1).await;
    assert_eq!(told[0].action, AuditAction::TicketForced);
    assert_eq!(told[0].actor, Actor::User(UserId::LOCAL));
    assert_eq!(told[0].reason.as_deref(), Some("urgent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_takes_no_more_than_its_limit_on_sqlite() {
    a_column_takes_no_more_than_its_limit(omoi_testkit::sqlite::database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_takes_no_more_than_its_limit_on_postgres() {
    a_column_takes_no_more_than_its_limit(omoi_testkit::postgres::database()).await;
}
