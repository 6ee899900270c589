//! Claims of many tasks at once: what one of them loses, the others keep.

use std::pin::pin;

use omoi_domain::attempt::{AttemptState, AttemptStopReason};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::lose_attempt;
use omoi_execution::consume::EventConsumer as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::intake;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_runtime::rng::Rng;
use omoi_store::attempts;
use omoi_store::tasks::{self, Task};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, tick_once};
use omoi_testkit::raw_connection::RawConnection;
use tokio::task::JoinSet;

use crate::intake::turn;

omoi_testkit::on_both_databases!(a_slot_lost_after_the_plan_costs_one_start);

async fn with_slots(database: TestDatabase, project_slots: i64) -> TestDeployment {
    TestDeployment::on_database(database, |parts| {
        parts.queue.slots.per_project = project_slots;
    })
    .await
}

async fn fences(it: &TestDeployment, tasks: &[Task]) -> Vec<i64> {
    let mut found = Vec::new();
    for task in tasks {
        found.push(it.task_now(task.id).await.fence);
    }
    found
}

/// Another task takes a slot while the starts of a batch are planned.
async fn a_slot_lost_after_the_plan_costs_one_start(database: TestDatabase) {
    let it = with_slots(database, 3).await;
    it.leaves_open_attempts();
    let mut batch = Vec::new();
    for number in 1..=3 {
        batch.push(it.add_task(number, &[]).await);
    }
    let other = it.add_task(4, &[]).await;
    it.commit(async |tx| {
        let mut other = tasks::get(tx, other.id).await?;
        other.not_before = tx.now() + std::time::Duration::from_hours(1);
        tasks::save(tx, &mut other).await
    })
    .await
    .unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    let mut tick = pin!(tick_once(&mut dispatcher, it.clock.now()));
    let mut is_taken = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut tick => break,
            () = tokio::task::yield_now() => {}
        }
        // The first start is planned, and the pass stands still while the slot goes.
        if !is_taken && it.branch_head(&batch[0].branch).await.is_some() {
            it.claim_task(other.id).await.unwrap();
            is_taken = true;
        }
    }
    assert_eq!(fences(&it, &batch).await, [1, 1, 0]);
    let left = it.task_now(batch[2].id).await;
    assert_eq!(left.status, TaskStatus::Pending);
}

/// Others take the slots while the claim waits for the row that counts them.
#[tokio::test]
async fn slots_lost_at_the_commit_are_looked_for_again_at_once() {
    let it = with_slots(omoi_testkit::postgres::database(), 2).await;
    let tasks = [it.add_task(1, &[]).await, it.add_task(2, &[]).await];
    let mut other = RawConnection::open(it.database_url()).await.unwrap();
    other
        .execute("begin; update projects set slots_used = slots_used + 1")
        .await
        .unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    let now = it.clock.now();
    let take = async {
        omoi_testkit::postgres::wait_until_blocked(it.database_url(), 1).await;
        other.execute("commit").await.unwrap();
    };
    let (next, ()) = tokio::join!(tick_once(&mut dispatcher, now), take);
    assert_eq!(next, Next::Now);
    assert_eq!(fences(&it, &tasks).await, [0, 0]);
    assert!(it.deployment.running.attempt_ids().is_empty());
    // What is left is found by the next pass.
    tick_once(&mut dispatcher, now).await;
    assert_eq!(fences(&it, &tasks).await, [1, 0]);
    it.deployment.running.wait_drained().await;
}

/// A claim copies the turns of the attempt that it resumes; those of one task cannot be read.
#[tokio::test]
async fn one_unreadable_task_of_a_batch_fails_alone() {
    let it = with_slots(omoi_testkit::sqlite::database(), 5).await;
    let mut all = Vec::new();
    for number in 1..=3 {
        all.push(it.add_task(number, &[]).await);
    }
    let lost = it.run_task(all[1].id).await;
    intake::commit_turn(&it.build_part(), &lost.attempt, turn(0))
        .await
        .unwrap();
    it.commit(async |tx| {
        let mut attempt = attempts::get(tx, lost.attempt.id).await?;
        let loss = AttemptLoss {
            state: AttemptState::Lost,
            stop_reason: AttemptStopReason::PlatformRestarted,
            class: ErrorClass::SandboxLost,
            message: "the process that ran it is gone".to_owned(),
            counts: false,
        };
        lose_attempt(tx, &it.build_part(), &mut attempt, loss).await
    })
    .await
    .unwrap();
    let mut raw = RawConnection::open(it.database_url()).await.unwrap();
    raw.execute("update turns set response = 'no json'")
        .await
        .unwrap();
    raw.close().await.unwrap();
    it.advance_clock(3_600);
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    tick_once(&mut dispatcher, it.clock.now()).await;
    assert_eq!(fences(&it, &all).await, [1, 1, 1]);
    let unread = it.task_now(all[1].id).await;
    assert_eq!(unread.status, TaskStatus::Failed, "{unread:?}");
    assert_eq!(unread.error_class, Some(ErrorClass::InvalidTask));
    it.deployment.running.wait_drained().await;
}

/// The database refuses every claim: no task is at fault, and none pays.
#[tokio::test]
async fn a_fault_of_the_database_is_charged_to_no_task() {
    let it = with_slots(omoi_testkit::sqlite::database(), 5).await;
    let all = [it.add_task(1, &[]).await, it.add_task(2, &[]).await];
    let mut raw = RawConnection::open(it.database_url()).await.unwrap();
    raw.execute(
        "create trigger no_claim before update on tasks when new.status = 'claiming'
         begin select raise(abort, 'broken'); end",
    )
    .await
    .unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    let mut entities = Entities::new("dispatcher", Rng::seeded(1));
    let pass = dispatcher.tick(it.clock.now(), &mut entities).await;
    assert_eq!(pass.unwrap_err().to_string(), "the database refused");
    for task in &all {
        let now = it.task_now(task.id).await;
        assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
    }
    raw.execute("drop trigger no_claim").await.unwrap();
    raw.close().await.unwrap();
    tick_once(&mut dispatcher, it.clock.now()).await;
    assert_eq!(fences(&it, &all).await, [1, 1]);
    it.deployment.running.wait_drained().await;
}

/// Each is held until its agent has ended, and so its lease is renewed, however long the orders of the
/// others take.
#[tokio::test]
async fn claimed_attempts_are_held_before_they_are_launched() {
    let it = with_slots(omoi_testkit::sqlite::database(), 5).await;
    for number in 1..=3 {
        it.add_task(number, &[]).await;
    }
    let mut commits = it.deployment.store.store().commits();
    let running = it.deployment.running.clone();
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        commits.changed().await.unwrap();
        running.attempt_ids().len()
    });
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    tick_once(&mut dispatcher, it.clock.now()).await;
    assert_eq!(watch.join_all().await, [3]);
    it.deployment.running.wait_drained().await;
}
