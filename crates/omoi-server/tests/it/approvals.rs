//! The inbox of questions to people, over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::ApprovalStatus;
use omoi_store::merges::{self, Merge};
use omoi_store::{approvals, tasks, tickets};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

use crate::api::{bench, told};
use crate::tickets::post;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_person_finds_what_waits_and_decides_once() {
    let (test, router) = bench().await;
    let asked = test.commit(async |tx| {
        let mut ticket = tickets::get(tx, test.ticket.id).await?;
        let pending = ApprovalStatus::PendingReview;
        tickets::set_approval(tx, &mut ticket, pending, None).await?;
        let deadline = tx.now() + Duration::from_secs(60);
        approvals::ask_about_ticket(tx, &ticket, deadline).await
    });
    let id = asked.await.unwrap().id.to_string();
    let (status, _, listed) = told(&router, "/approvals?state=pending&kind=ticket").await;
    let item = &listed["items"][0];
    assert_eq!((status, &item["id"]), (200, &json!(id)), "{listed}");
    assert_eq!(item["allowed_decisions"], json!(["approve", "reject"]));
    assert_eq!(item["subject"]["name"], "repo/TKT-001", "{item}");
    let (_, _, one) = told(&router, &format!("/approvals/{id}")).await;
    assert_eq!(&one, item);
    let (_, _, count) = told(&router, "/tickets/pending-review-count").await;
    assert_eq!(count, json!({ "pending_count": 1 }));
    let (_, _, before) = told(&router, "/tickets/approval-status?ticket_id=TKT-001").await;
    assert_eq!(
        before["approval_deadline_at"], item["deadline_at"],
        "{before}"
    );
    for (path, body) in [
        (
            format!("/approvals/{id}/decide"),
            json!({ "decision": "request_changes" }),
        ),
        (
            format!("/approvals/{id}/decide"),
            json!({ "decision": "reject" }),
        ),
        (
            "/tickets/reject".to_owned(),
            json!({ "ticket_id": "TKT-001", "rejection_reason": " " }),
        ),
    ] {
        let (status, said) = post(&router, &path, body.clone()).await;
        assert_eq!(
            (status, &said["error"]),
            (422, &json!("validation_failed")),
            "{body}: {said}"
        );
    }
    let no = json!({ "ticket_id": "TKT-001", "rejection_reason": "we have it" });
    let (status, ticket) = post(&router, "/tickets/reject", no).await;
    assert_eq!(
        (status, &ticket["approval_status"]),
        (200, &json!("rejected")),
        "{ticket}"
    );
    let yes = post(
        &router,
        "/tickets/approve",
        json!({ "ticket_id": "TKT-001" }),
    )
    .await;
    assert_eq!(
        (yes.0, &yes.1["error"]),
        (409, &json!("invalid_transition")),
        "{yes:?}"
    );
    let again = json!({ "decision": "approve" });
    let again = post(&router, &format!("/approvals/{id}/decide"), again).await;
    assert_eq!(
        (again.0, &again.1["error"]),
        (409, &json!("invalid_transition")),
        "{again:?}"
    );
    let (_, _, after) = told(&router, "/tickets/approval-status?ticket_id=TKT-001").await;
    let expected = (&json!("we have it"), &Value::Null);
    assert_eq!(
        (&after["rejection_reason"], &after["approval_deadline_at"]),
        expected,
        "{after}"
    );
    let (_, _, board) = told(&router, "/board/view").await;
    let columns = board["columns"].as_array().unwrap();
    assert!(
        columns.iter().all(|column| column["current_count"] == 0),
        "{board}"
    );
    let unknown = "/approvals/01930000-0000-7000-8000-0000000000ff";
    assert_eq!(told(&router, unknown).await.0, 404);
}

/// A merge that conflicts in `a` and `b`, which nobody resolved and people are asked about.
async fn ask_about_conflict(test: &TestDeployment) -> Merge {
    let task = test.add_task(1, &[]).await;
    let resolution = test.add_task(2, &[]).await;
    let merge = test.commit(async |tx| {
        let mut resolution = tasks::get(tx, resolution.id).await?;
        tasks::fail_permanently(tx, &mut resolution, "no".to_owned()).await?;
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Manual;
        tasks::save(tx, &mut task).await?;
        let mut merge = sample_rows::merge(tx, &task, MergeState::Manual, &"a".repeat(40));
        merge.resolve_task_id = Some(resolution.id);
        merge.conflicts.0 = vec!["a".to_owned(), "b".to_owned()];
        merges::insert(tx, &merge).await?;
        resolution.resolves_merge_id = Some(merge.id);
        tasks::save(tx, &mut resolution).await?;
        approvals::ask_about_conflict(tx, &merge, &task, "which side?".to_owned()).await?;
        Ok(merge)
    });
    merge.await.unwrap()
}

#[tokio::test]
async fn a_person_takes_a_side_for_each_file_in_conflict() {
    let (test, router) = bench().await;
    let merge = ask_about_conflict(&test).await;
    let (_, _, listed) = told(&router, "/approvals?state=pending&kind=merge_conflict").await;
    let asked = &listed["items"][0];
    assert_eq!(asked["subject"]["name"], "repo/TSK-001", "{listed}");
    assert_eq!(
        asked["allowed_decisions"],
        json!(["approve", "answer", "reject"])
    );
    assert_eq!(asked["choices"], json!(["ours", "theirs"]));
    assert_eq!(asked["conflicts"], json!(["a", "b"]));
    let decide = format!("/approvals/{}/decide", asked["id"].as_str().unwrap());
    let say = |comment: &str| json!({ "decision": "answer", "comment": comment });
    let (status, said) = post(&router, &decide, say("both")).await;
    assert_eq!(
        (status, &said["error"]),
        (422, &json!("validation_failed")),
        "{said}"
    );
    let file = |path: &str, side: &str| json!({ "path": path, "side": side });
    for (files, comment, decision, named) in [
        (json!([file("a", "ours")]), None, "answer", json!(["b"])),
        (
            json!([file("c", "ours")]),
            Some("ours"),
            "answer",
            json!(["c"]),
        ),
        (
            json!([file("a", "ours"), file("a", "theirs")]),
            Some("ours"),
            "answer",
            Value::Null,
        ),
        (json!([file("a", "ours")]), None, "approve", Value::Null),
    ] {
        let body = json!({ "decision": decision, "comment": comment, "files": files });
        let (status, said) = post(&router, &decide, body).await;
        let found = (
            status,
            &said["fields"][0]["path"],
            &said["context"]["files"],
        );
        assert_eq!(found, (422, &json!("/files"), &named), "{said}");
    }
    let files = json!([file("b", "theirs")]);
    let body = json!({ "decision": "answer", "comment": "ours", "files": files });
    let (status, said) = post(&router, &decide, body).await;
    assert_eq!(
        (status, &said["state"], &said["comment"]),
        (200, &json!("answered"), &json!("ours\ntheirs b")),
        "{said}"
    );
    let merge = merges::get(&mut test.read_tx().await, merge.id)
        .await
        .unwrap();
    let taken = (merge.state, merge.taken_side);
    assert_eq!(taken, (MergeState::Pending, None));
}
