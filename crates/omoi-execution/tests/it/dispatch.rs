//! What dispatchers start, and what keeps them from it.

use std::time::Duration;

use omoi_domain::task::TaskStatus;
use omoi_execution::consume::Consume as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_runtime::clock::Clock as _;
use omoi_store::tasks::{self, Scan};
use omoi_store::{attempts, projects, specs, tickets};
use omoi_testkit::database::TestDatabase;

use crate::support::TestPlatform;

pub(crate) fn scan(it: &TestPlatform) -> Scan {
    Scan {
        starving_since: it.clock.now() - Duration::from_hours(2),
        project_slots: it.platform.settings.project_slots,
        limit: 10,
        spec: None,
    }
}

async fn race(database: TestDatabase) {
    let it = TestPlatform::on(database, |parts| {
        parts.settings.project_slots = 100;
        parts.settings.global_slots = 100;
    })
    .await;
    let mut all = Vec::new();
    for number in 1..=6 {
        all.push(it.task(number, &[]).await);
    }
    let waiting = it.task(7, &[all[0].id]).await;
    let now = it.clock.now();
    let mut dispatchers: Vec<_> = (0..4)
        .map(|_| Dispatcher::new(it.platform.clone()))
        .collect();
    let ticks = dispatchers.iter_mut().map(|one| one.tick(now));
    for result in futures::future::join_all(ticks).await {
        result.unwrap();
    }
    for task in all {
        let mut tx = it.read().await;
        let made = attempts::of_subject(&mut tx, &task.id.to_string())
            .await
            .unwrap();
        let fences: Vec<i64> = made.iter().map(|a| a.fence).collect();
        assert_eq!(fences, [1], "TSK-{:03}", task.number);
        drop(tx);
        assert_eq!(it.task_now(task.id).await.fence, 1);
    }
    assert_eq!(it.task_now(waiting.id).await, waiting);
}

#[tokio::test]
async fn each_task_is_claimed_once_on_sqlite() {
    race(omoi_testkit::sqlite::database()).await;
}

#[tokio::test]
async fn each_task_is_claimed_once_on_postgres() {
    race(omoi_testkit::postgres::database()).await;
}

#[tokio::test]
async fn what_a_simulated_model_began_no_real_one_goes_on_with() {
    for (label, fence) in [("a-model", 0), ("simulated", 1)] {
        let it = TestPlatform::with(|parts| parts.model_label = label.to_owned()).await;
        let task = it.task(1, &[]).await;
        let now = it.clock.now();
        let mut dispatcher = Dispatcher::new(it.platform.clone());
        dispatcher.tick(now).await.unwrap();
        assert_eq!(it.task_now(task.id).await.fence, fence, "{label}");
    }
}

#[tokio::test]
async fn one_bad_task_and_one_full_project_hold_up_nobody_else() {
    let it = TestPlatform::with(|parts| parts.settings.project_slots = 1).await;
    let bad = it.task(1, &[]).await;
    let full = it.task(2, &[]).await;
    let (busy, other) = it
        .commit(async |tx| {
            let mut task = tasks::get(tx, bad.id).await?;
            // No branch can have such a name.
            task.branch = "..".to_owned();
            tasks::save(tx, &mut task).await?;
            let project = projects::ensure(tx, "other", "/other").await?;
            let spec = specs::Spec {
                id: tx.new_id(),
                project_id: project.id,
                ..it.spec.clone()
            };
            specs::insert(tx, &spec).await?;
            let ticket = tickets::Ticket {
                id: tx.new_id(),
                project_id: project.id,
                spec_id: spec.id,
                ..it.ticket.clone()
            };
            tickets::insert(tx, &ticket).await?;
            let mirror = it.platform.mirror(project.id).await.unwrap();
            // The same commit in another repository.
            let base = crate::support::start(&mirror).await;
            assert_eq!(base, it.base);
            let mut made = Vec::new();
            for number in [1, 2] {
                let task = tasks::Task {
                    project_id: project.id,
                    ..crate::support::task(tx, &ticket, number)
                };
                tasks::insert(tx, &task).await?;
                made.push(task);
            }
            Ok((made[0].clone(), made[1].clone()))
        })
        .await
        .unwrap();
    it.run(busy.id).await;
    let mut dispatcher = Dispatcher::new(it.platform.clone());
    dispatcher.tick(it.clock.now()).await.unwrap();
    // The bad one is counted and waits; where a slot is free, the next one has it.
    let bad = it.task_now(bad.id).await;
    assert_eq!((bad.status, bad.retry_count), (TaskStatus::Pending, 1));
    assert!(bad.error_message.unwrap().starts_with("provision_failed"));
    let fences = [&full, &busy, &other].map(|task| task.id);
    let mut found = Vec::new();
    for id in fences {
        found.push(it.task_now(id).await.fence);
    }
    assert_eq!(found, [1, 1, 0]);
    // What is shown is what was reckoned.
    let kept = it.task_now(full.id).await.score;
    assert!((kept - 0.275).abs() < 0.01, "{kept}");
    // Tries are not without end.
    for _ in 0..10 {
        it.advance(3_600);
        dispatcher.tick(it.clock.now()).await.unwrap();
        it.platform.running.drained().await;
    }
    assert_eq!(it.task_now(bad.id).await.status, TaskStatus::Failed);
}
