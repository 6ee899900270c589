//! Tasks whose start something outside holds up.

use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::attempt::start_postponed;
use omoi_domain::postponed_start::POSTPONED_STARTS_MAX;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::lose_attempt;
use omoi_store::attempts;
use omoi_store::tasks::Task;

use omoi_testkit::deployment::TestDeployment;

use crate::landed_work::{pass, resume, spec_now, tried_again};

/// What does not answer.
const AWAY: &str = "`pypi.org`: the registry does not answer";

/// Begins an attempt at `task` that cannot start; returns for how many minutes the task waits then.
async fn put_off(it: &TestDeployment, task: &Task) -> u64 {
    let attempt = it.run_task(task.id).await.attempt;
    let mut tx = it.deployment.store.begin_write().await.unwrap();
    let mut attempt = attempts::get(&mut tx, attempt.id).await.unwrap();
    let loss = start_postponed(ErrorClass::Network, AWAY.to_owned());
    lose_attempt(&mut tx, &it.build_part(), &mut attempt, loss)
        .await
        .unwrap();
    let now = tx.now();
    tx.commit(CrashPoint::AttemptEnded).await.unwrap();
    it.task_now(task.id).await.not_before.since(now).as_secs() / 60
}

#[tokio::test]
async fn a_task_that_cannot_begin_waits_ever_longer_and_then_for_a_person() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let waits = async || {
        let mut minutes = Vec::new();
        for _ in 1..POSTPONED_STARTS_MAX {
            minutes.push(put_off(&it, &task).await);
            let now = it.task_now(task.id).await;
            assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
            it.advance_clock(3_600);
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30]);
        put_off(&it, &task).await;
        let now = it.task_now(task.id).await;
        assert_eq!((now.status, now.retry_count), (TaskStatus::Blocked, 0));
        pass(&it).await;
        spec_now(&it).await
    };
    let spec = waits().await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    let why = spec.last_error.unwrap();
    let says = "TSK-001 is blocked: environment_fault: it could not be begun 8 times in a row";
    for part in [says, AWAY] {
        assert!(why.contains(part), "{why}");
    }
    // Once a person has it go on, it is begun as often again.
    it.advance_clock(1);
    tried_again(&it, &task).await;
    resume(&it).await;
    assert_eq!(waits().await.status, SpecStatus::Blocked);
}
