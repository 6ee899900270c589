//! Who is ended, why, and who is left alone.

use omoi_domain::attempt::{AttemptState, AttemptStopReason};
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::intake;
use omoi_execution::reaper::Reaper;
use omoi_execution::running_attempts::HeldAttempt;
use omoi_runtime::clock::Clock as _;
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks;
use omoi_testkit::deployment::{TestDeployment, tick_once, tick_with_failures};
use omoi_testkit::sqlite::refuse_updates;

async fn reap(it: &TestDeployment) {
    let mut reaper = Reaper::from_parts(&it.deployment);
    tick_once(&mut reaper, it.clock.now()).await;
}

/// How an attempt and its task stand: state, stop reason, class, task status, retries.
async fn verdict(
    it: &TestDeployment,
    attempt: &Attempt,
) -> (AttemptState, Option<AttemptStopReason>, TaskStatus, u32) {
    let attempt = it.attempt_now(attempt).await;
    let task = it.task_now(attempt.subject.task_id().unwrap()).await;
    (
        attempt.state,
        attempt.stop_reason,
        task.status,
        task.retry_count,
    )
}

/// A running attempt that this process works on while the second value lives.
async fn ours(it: &TestDeployment) -> (Attempt, HeldAttempt) {
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let held = it
        .deployment
        .running
        .hold_attempt(attempt.org_id, attempt.id);
    (attempt, held)
}

fn failed(reason: AttemptStopReason) -> (AttemptState, Option<AttemptStopReason>, TaskStatus, u32) {
    (AttemptState::Failed, Some(reason), TaskStatus::Pending, 1)
}

fn alone() -> (AttemptState, Option<AttemptStopReason>, TaskStatus, u32) {
    (AttemptState::Running, None, TaskStatus::Running, 0)
}

#[tokio::test]
async fn a_worker_that_reports_is_left_alone_and_one_that_does_nothing_is_stuck() {
    let it = TestDeployment::new().await;
    let (attempt, _held) = ours(&it).await;
    for _ in 0..60 {
        it.advance_clock(15);
        intake::report_heartbeat(&it.deployment.store, attempt.id)
            .await
            .unwrap();
        reap(&it).await;
        assert_eq!(verdict(&it, &attempt).await, alone());
    }
    // 900 s without work, and one more.
    it.advance_clock(1);
    reap(&it).await;
    assert_eq!(
        verdict(&it, &attempt).await,
        failed(AttemptStopReason::StuckRunning)
    );
    assert_eq!(it.slots_in_use().await, 0);
}

#[tokio::test]
async fn silence_ends_a_running_worker() {
    let it = TestDeployment::new().await;
    let (attempt, _held) = ours(&it).await;
    it.advance_clock(90);
    reap(&it).await;
    assert_eq!(verdict(&it, &attempt).await, alone());
    it.advance_clock(1);
    reap(&it).await;
    assert_eq!(
        verdict(&it, &attempt).await,
        failed(AttemptStopReason::HeartbeatTimeout)
    );
}

#[tokio::test]
async fn a_worker_that_never_comes_up_is_given_up() {
    let it = TestDeployment::new().await;
    for (number, bound) in [(1, false), (2, true)] {
        let task = it.add_task(number, &[]).await;
        let attempt = it.claim_task(task.id).await.unwrap().attempt;
        let held = it
            .deployment
            .running
            .hold_attempt(attempt.org_id, attempt.id);
        if bound {
            it.bind_sandbox(&attempt).await.unwrap();
        }
        it.advance_clock(180);
        reap(&it).await;
        assert!(it.attempt_now(&attempt).await.state.is_live());
        it.advance_clock(1);
        reap(&it).await;
        assert_eq!(
            verdict(&it, &attempt).await,
            failed(AttemptStopReason::StartTimeout)
        );
        drop(held);
    }
}

/// The lock of the data folder says who lives: a lease of whoever had it before does not count, however
/// far off its end is, as it is after the clock was set back.
#[tokio::test]
async fn what_a_dead_process_left_is_lost_at_once() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    it.commit(async |tx| {
        let mut attempt = attempts::get(tx, attempt.id).await?;
        attempt.owner = "another process".to_owned();
        attempt.lease_expires_at = tx.now() + std::time::Duration::from_hours(1);
        attempts::save(tx, &mut attempt).await
    })
    .await
    .unwrap();
    reap(&it).await;
    let lost = (
        AttemptState::Lost,
        Some(AttemptStopReason::PlatformRestarted),
        TaskStatus::Pending,
        0,
    );
    assert_eq!(verdict(&it, &attempt).await, lost);
    assert_eq!(it.slots_in_use().await, 0);
}

#[tokio::test]
async fn an_attempt_this_process_forgot_is_lost_when_its_lease_ends() {
    let it = TestDeployment::new().await;
    let (attempt, held) = ours(&it).await;
    drop(held);
    it.advance_clock(14);
    reap(&it).await;
    assert_eq!(verdict(&it, &attempt).await, alone());
    it.advance_clock(1);
    reap(&it).await;
    assert_eq!(verdict(&it, &attempt).await.0, AttemptState::Lost);
}

#[tokio::test]
async fn only_what_this_process_works_on_keeps_its_lease() {
    let it = TestDeployment::new().await;
    let (one, _held) = ours(&it).await;
    let two = it.add_task(2, &[]).await;
    let two = it.run_task(two.id).await.attempt;
    // Work that panics gives its attempt up all the same.
    let held = it.deployment.running.hold_attempt(two.org_id, two.id);
    let work = std::panic::AssertUnwindSafe(|| {
        let _held = held;
        panic!("the work broke");
    });
    assert!(std::panic::catch_unwind(work).is_err());
    for _ in 0..2 {
        it.advance_clock(10);
        omoi_execution::lease_renewal::renew_leases(&it.build_part()).await;
        reap(&it).await;
    }
    assert_eq!(verdict(&it, &one).await, alone());
    assert_eq!(verdict(&it, &two).await.0, AttemptState::Lost);
}

#[tokio::test]
async fn what_is_called_off_is_interrupted() {
    let it = TestDeployment::new().await;
    let (attempt, _held) = ours(&it).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, attempt.subject.task_id().unwrap()).await?;
        omoi_execution::tasks::cancel(tx, &mut task, "no longer wanted").await
    })
    .await
    .unwrap();
    reap(&it).await;
    let (state, reason, status, _) = verdict(&it, &attempt).await;
    assert_eq!(state, AttemptState::Interrupted);
    assert_eq!(
        (reason, status),
        (Some(AttemptStopReason::Cancelled), TaskStatus::Cancelled)
    );
}

#[tokio::test]
async fn an_attempt_that_cannot_be_judged_keeps_no_other_from_its_end() {
    let it = TestDeployment::new().await;
    let (broken, _held) = ours(&it).await;
    let own = format!("old.id = '{}'", broken.id);
    refuse_updates(it.database_url(), "attempts", &own).await;
    it.advance_clock(1);
    let task = it.add_task(2, &[]).await;
    let silent = it.run_task(task.id).await.attempt;
    let _silent_held = it.deployment.running.hold_attempt(silent.org_id, silent.id);
    it.advance_clock(91);
    let mut reaper = Reaper::from_parts(&it.deployment);
    let (_, failures) = tick_with_failures(&mut reaper, it.clock.now()).await;
    let names: Vec<_> = failures.iter().map(|f| f.entity.clone()).collect();
    assert_eq!(names, [format!("attempt {}", broken.id)]);
    assert_eq!(
        verdict(&it, &silent).await,
        failed(AttemptStopReason::HeartbeatTimeout)
    );
}
