//! Tasks that a full disk interrupts time and again.

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason};
use omoi_domain::crash::CrashPoint;
use omoi_domain::disk_stop::DISK_STOPS_MAX;
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::lose_attempt;
use omoi_execution::intake::complete_attempt;
use omoi_protocol::worker::ReportComplete;
use omoi_store::tasks::Task;

use omoi_testkit::deployment::{self, TestDeployment};

use crate::landed_work::{pass, resume, spec_now, tried_again};

/// Who tells of the end of an attempt that a full disk interrupted.
#[derive(Clone, Copy, Debug)]
enum ToldBy {
    Worker,
    Platform,
}

/// What the watcher says of the disk.
const HOW: &str = "the disk had 1 bytes left";

/// Begins an attempt at `task` and has a full disk interrupt it.
async fn interrupt(it: &TestDeployment, task: &Task, told_by: ToldBy) {
    it.advance_clock(1);
    let mut attempt = it.run_task(task.id).await.attempt;
    match told_by {
        ToldBy::Worker => {
            let body = ReportComplete {
                error_message: Some(HOW.to_owned()),
                ..deployment::ended_report(AttemptOutcome::Interrupted, AttemptStopReason::DiskLow)
            };
            complete_attempt(&it.build_part(), &attempt, body)
                .await
                .unwrap();
        }
        ToldBy::Platform => {
            let mut tx = it.deployment.store.begin_write().await.unwrap();
            let loss = AttemptLoss {
                state: AttemptState::Interrupted,
                stop_reason: AttemptStopReason::DiskLow,
                class: ErrorClass::ResourceExhausted,
                message: HOW.to_owned(),
                counts: false,
            };
            attempt = omoi_store::attempts::get(&mut tx, attempt.id)
                .await
                .unwrap();
            lose_attempt(&mut tx, &it.build_part(), &mut attempt, loss)
                .await
                .unwrap();
            tx.commit(CrashPoint::AttemptEnded).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_task_that_a_full_disk_interrupts_time_and_again_waits_for_a_person() {
    for told_by in [ToldBy::Worker, ToldBy::Platform] {
        let it = TestDeployment::new().await;
        let task = it.add_task(1, &[]).await;
        let waiting = it.add_task(2, &[task.id]).await;
        let stops = async |expected: &[TaskStatus]| {
            for status in expected {
                interrupt(&it, &task, told_by).await;
                let now = it.task_now(task.id).await;
                assert_eq!((now.status, now.round, now.retry_count), (*status, 0, 0));
            }
            pass(&it).await;
            spec_now(&it).await
        };
        let again = [TaskStatus::Pending; DISK_STOPS_MAX - 1];
        let spec = stops(&again).await;
        assert_eq!(spec.status, SpecStatus::Working, "{told_by:?}");
        let spec = stops(&[TaskStatus::Blocked]).await;
        assert_eq!(spec.status, SpecStatus::Blocked, "{told_by:?}");
        let why = spec.last_error.unwrap();
        let says = "TSK-001 is blocked: environment_fault: a full disk interrupted it 3 times";
        for part in [says, HOW, "free some space"] {
            assert!(why.contains(part), "{why}");
        }
        let dependent = it.task_now(waiting.id).await;
        assert_eq!(dependent.status, TaskStatus::Blocked);

        // Once a person has it go on, it is begun as often again.
        it.advance_clock(1);
        tried_again(&it, &task).await;
        resume(&it).await;
        let dependent = it.task_now(waiting.id).await;
        assert_eq!(dependent.status, TaskStatus::Pending);
        stops(&again).await;
        let spec = stops(&[TaskStatus::Blocked]).await;
        assert_eq!(spec.status, SpecStatus::Blocked, "{told_by:?}");
    }
}
