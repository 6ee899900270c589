//! Dispatchers that meet on the same tasks.

use omoi_execution::consume::Consume as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_runtime::clock::Clock as _;
use omoi_store::attempts;
use omoi_testkit::database::TestDatabase;

use crate::support::TestPlatform;

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
