//! Transactions that meet on a server: each waits for the other's end, never for the other's lock.

use std::time::Duration;

use omoi_domain::retry::ErrorClass;
use omoi_domain::task::{Priority, TaskStatus};
use omoi_execution::FromParts as _;
use omoi_execution::discovery::report_discovery;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::failure_policy::FailurePolicy;
use omoi_execution::tasks::{block_dependents, fail_attempted};
use omoi_runtime::clock::Clock as _;
use omoi_store::tasks::{self, Task};
use omoi_testkit::deployment::{TestDeployment, tick_once};
use omoi_testkit::postgres::wait_until_blocked;
use omoi_testkit::raw_connection::RawConnection;

use crate::discovery::found;

/// A transaction of another process, which locks tasks by id and is not over yet.
struct OtherProcess(RawConnection);

impl OtherProcess {
    async fn begin(it: &TestDeployment) -> Self {
        let mut conn = RawConnection::open(it.database_url()).await.unwrap();
        conn.execute("begin").await.unwrap();
        Self(conn)
    }

    async fn lock_task(&mut self, task: &Task) {
        let sql = format!("update tasks set score = 2 where id = '{}'", task.id);
        self.0.execute(&sql).await.unwrap();
    }

    async fn commit(mut self) {
        self.0.execute("commit").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Two new tasks in the order of their ids, which those of one millisecond do not follow by themselves.
async fn add_in_order(it: &TestDeployment) -> [Task; 2] {
    let mut made = [it.add_task(2, &[]).await, it.add_task(3, &[]).await];
    made.sort_by_key(|task| task.id);
    made
}

/// Locks `tasks` by id in another process, the last one only when this process waits for the first.
async fn lock_beside(it: &TestDeployment, tasks: [&Task; 2], own: impl Future<Output = ()>) {
    let mut other = OtherProcess::begin(it).await;
    other.lock_task(tasks[0]).await;
    let go_on = async {
        wait_until_blocked(it.database_url(), 1).await;
        other.lock_task(tasks[1]).await;
        other.commit().await;
    };
    tokio::join!(own, go_on);
}

#[tokio::test]
async fn tasks_that_are_stopped_are_locked_by_id() {
    let it = TestDeployment::on_database(omoi_testkit::postgres::database(), |_| {}).await;
    let lost = it.add_task(1, &[]).await;
    let [far, near] = add_in_order(&it).await;
    it.commit(async |tx| {
        tasks::depend(tx, near.id, lost.id).await?;
        tasks::depend(tx, far.id, near.id).await
    })
    .await
    .unwrap();
    let stop = async {
        it.commit(async |tx| block_dependents(tx, &lost).await)
            .await
            .unwrap();
    };
    lock_beside(&it, [&far, &near], stop).await;
}

/// The task that fails is written first, and has the higher id here.
#[tokio::test]
async fn a_task_that_fails_is_locked_after_what_waits_for_it() {
    let it = TestDeployment::on_database(omoi_testkit::postgres::database(), |_| {}).await;
    let [waiting, lost] = add_in_order(&it).await;
    it.commit(async |tx| tasks::depend(tx, waiting.id, lost.id).await)
        .await
        .unwrap();
    let fail = async {
        let failures: FailurePolicy = it.build_part();
        it.commit(async |tx| {
            let mut lost = tasks::get(tx, lost.id).await?;
            let class = ErrorClass::InvalidTask;
            fail_attempted(tx, &failures, &mut lost, class, "it names no file").await
        })
        .await
        .unwrap();
    };
    lock_beside(&it, [&waiting, &lost], fail).await;
    assert_eq!(it.task_now(lost.id).await.status, TaskStatus::Failed);
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
}

#[tokio::test]
async fn tasks_whose_scores_are_kept_are_locked_by_id() {
    let it = TestDeployment::on_database(omoi_testkit::postgres::database(), |_| {}).await;
    it.leaves_open_attempts();
    let [later, sooner] = add_in_order(&it).await;
    it.commit(async |tx| {
        let mut sooner = tasks::get(tx, sooner.id).await?;
        sooner.priority = Priority::Critical;
        tasks::save(tx, &mut sooner).await
    })
    .await
    .unwrap();
    it.advance_clock(Duration::from_mins(1).as_secs());
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    let pass = async {
        tick_once(&mut dispatcher, it.clock.now()).await;
    };
    lock_beside(&it, [&later, &sooner], pass).await;
    it.deployment.running.wait_drained().await;
}

/// A commit that moves slots has locked tickets and locks the project last.
#[tokio::test]
async fn a_discovery_that_waits_for_a_ticket_holds_no_project() {
    let it = TestDeployment::on_database(omoi_testkit::postgres::database(), |_| {}).await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let mut other = OtherProcess::begin(&it).await;
    other
        .0
        .execute("select id from tickets for no key update")
        .await
        .unwrap();
    let report = async {
        report_discovery(
            &it.deployment.store,
            &it.deployment.limits,
            &attempt,
            found("A crash"),
        )
        .await
        .unwrap();
    };
    let go_on = async {
        wait_until_blocked(it.database_url(), 1).await;
        other
            .0
            .execute("select id from projects for no key update nowait")
            .await
            .unwrap();
        other.commit().await;
    };
    tokio::join!(report, go_on);
}
