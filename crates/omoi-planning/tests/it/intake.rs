//! Items on their way in.

use std::time::Duration;

use serde_json::{Value, json};

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason};
use omoi_domain::crash::CrashPoint;
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::time::Timestamp;
use omoi_execution::intake::{self, IntakeError};
use omoi_protocol::worker::{ITEMS_MAX, ItemOutcome, SubmitItem};
use omoi_store::{attempts, phases};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{ended_report, failed_report};

use crate::desk::Desk;

omoi_testkit::on_both_databases!(a_stale_attempt_writes_nothing);

const EXPLORE: Phase = Phase::Explore;

async fn a_stale_attempt_writes_nothing(database: TestDatabase) {
    let mut desk = Desk::on(database, false, |_| {}).await;
    desk.tick().await;
    let (old, told) = desk.agent(EXPLORE).await;
    desk.submit(&old, ("codebase_summary", ""), json!("Of the first."))
        .await
        .unwrap();
    // It ends while an item of it is on its way.
    let mut tx = desk.it.deployment.store.begin_write().await.unwrap();
    let mut row = attempts::get(&mut tx, old.id).await.unwrap();
    row.error_class = Some(ErrorClass::Network);
    attempts::transition(&mut tx, &mut row, AttemptState::Failed)
        .await
        .unwrap();
    let late = desk.submit(&old, ("project_type", ""), json!("A late item"));
    let mut late = Box::pin(late);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut late).await;
    assert!(early.is_err(), "it was taken in before the end was known");
    tx.commit(CrashPoint::AttemptEnded).await.unwrap();
    assert!(matches!(late.await, Err(IntakeError::Superseded)));

    // Another attempt goes on; the token of the first opens nothing and its items change nothing.
    desk.tick().await;
    desk.it.advance_clock(5);
    desk.tick().await;
    let (new, _) = desk.agent(EXPLORE).await;
    assert!(new.fence > old.fence);
    let over = intake::authenticate_worker(desk.it.deployment.store.store(), &told.token).await;
    let refused = intake::expect_live(&desk.it.deployment.store, &over.unwrap().1, "items").await;
    assert!(matches!(refused, Err(IntakeError::Superseded)));
    let refused = desk.submit(&old, ("project_type", ""), json!("Later still"));
    assert!(matches!(refused.await, Err(IntakeError::Superseded)));
    desk.submit(&new, ("project_type", ""), json!("Of the second."))
        .await
        .unwrap();
    let mut tx = desk.it.read_tx().await;
    let rows = phases::items(&mut tx, desk.spec.id, Phase::Explore).await;
    let values: Vec<Value> = rows.unwrap().into_iter().map(|row| row.value.0).collect();
    assert_eq!(values, ["Of the first.", "Of the second."]);
}

#[tokio::test]
async fn a_surplus_item_can_be_withdrawn_on_a_retry() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let (attempt, _) = desk.agent(EXPLORE).await;
    desk.hand_in(&attempt, EXPLORE).await;
    let surplus = json!({ "path": "todo/nowhere.py", "purpose": "Is not there" });
    let place = ("key_files", "todo/nowhere.py");
    desk.submit(&attempt, place, surplus).await.unwrap();
    desk.end(
        &attempt,
        failed_report(ErrorClass::AgentError, "it fell over"),
    )
    .await;
    desk.tick().await;
    desk.it.advance_clock(2);
    desk.tick().await;
    let (attempt, told) = desk.agent(EXPLORE).await;
    assert!(told.prompt.contains("todo/nowhere.py"));
    let wrong = desk.submit(&attempt, ("key_files", "nowhere.py"), Value::Null);
    match wrong.await {
        Err(IntakeError::Refused(why)) => assert!(why.contains("todo/nowhere.py"), "{why}"),
        other => panic!("{other:?}"),
    }
    let ack = desk.submit(&attempt, place, Value::Null).await.unwrap();
    assert_eq!(ack.notes, ["`todo/nowhere.py` is withdrawn"]);
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
    let output = desk.run(EXPLORE).await.output.unwrap().0;
    assert_eq!(
        output["key_files"],
        desk.plan.phase_output(EXPLORE)["key_files"]
    );
    // The journal has both, the item and that it was taken back.
    let mut tx = desk.it.read_tx().await;
    let rows = phases::items(&mut tx, desk.spec.id, Phase::Explore)
        .await
        .unwrap();
    let kept = rows.iter().filter(|row| row.item_key == "todo/nowhere.py");
    assert_eq!(kept.count(), 2);
    assert!(rows.iter().all(|row| row.created_at > Timestamp::default()));
}

#[tokio::test]
async fn of_items_that_come_together_those_that_are_right_are_taken() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let (attempt, _) = desk.agent(EXPLORE).await;
    let item = |key: &str, value: Value| SubmitItem {
        section: "key_files".to_owned(),
        key: key.to_owned(),
        value,
    };
    let named = |path: &str| json!({ "path": path, "purpose": "Is named here" });
    let items = vec![
        item("todo/a.py", named("todo/a.py")),
        item("todo/b.py", json!(["of another form"])),
        // What stands before it in the same report stands.
        item("todo/a.py", Value::Null),
        item("todo/b.py", Value::Null),
        item("todo/c.py", named("todo/c.py")),
    ];
    let told = desk.submit_all(&attempt, items).await.unwrap();
    let taken: Vec<Option<i64>> = told
        .iter()
        .map(|outcome| match outcome {
            ItemOutcome::Accepted(ack) => Some(ack.seq),
            ItemOutcome::Refused { .. } => None,
        })
        .collect();
    assert_eq!(taken, [Some(1), None, Some(2), None, Some(3)], "{told:?}");
    let many = (0..=ITEMS_MAX).map(|n| item(&n.to_string(), Value::Null));
    let refused = desk.submit_all(&attempt, many.collect()).await;
    assert!(matches!(refused, Err(IntakeError::Refused(_))));
}

#[tokio::test]
async fn checks_that_cannot_run_are_refused_at_once() {
    let mut desk = Desk::with(false, |parts| {
        parts.limits.check_timeout = Duration::from_secs(200);
    })
    .await;
    for phase in [
        Phase::Explore,
        Phase::Prd,
        Phase::Requirements,
        Phase::Design,
    ] {
        desk.work_through(phase).await;
    }
    desk.tick().await;
    let (attempt, _) = desk.agent(Phase::Tasks).await;
    let good = desk.plan.phase_output(Phase::Tasks)["tasks"][0].clone();
    for (field, value, says) in [
        (
            "timeout_s",
            json!(201),
            "201 is not within 1 to 200 seconds",
        ),
        ("timeout_s", json!(0), "0 is not within 1 to 200 seconds"),
        (
            "files",
            json!({ "../outside.py": "" }),
            "`../outside.py` is no path",
        ),
    ] {
        let mut task = good.clone();
        task["checks"][0][field] = value;
        match desk.submit(&attempt, ("tasks", "TSK-001"), task).await {
            Err(IntakeError::Refused(why)) => {
                let expected = format!("`tasks[TSK-001].checks[0].{field}`: {says}");
                assert!(why.starts_with(&expected), "{why}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
    desk.submit(&attempt, ("tasks", "TSK-001"), good)
        .await
        .unwrap();
}
