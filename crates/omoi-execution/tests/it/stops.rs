//! What each way to end leaves behind: the task's state, and no slot held.

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_execution::intake::{IntakeError, complete_attempt};
use omoi_protocol::worker::{GitBundle, ReportComplete};
use omoi_store::{messages, sandboxes};

use omoi_testkit::deployment::{TestDeployment, ended_report, failed_report};

/// What is left of a task.
#[derive(Debug, PartialEq)]
struct Left {
    status: TaskStatus,
    round: u32,
    retries: u32,
    /// What it was sent back for.
    unmet: Option<UnmetCode>,
}

fn left(status: TaskStatus, round: u32, retries: u32, unmet: Option<UnmetCode>) -> Left {
    Left {
        status,
        round,
        retries,
        unmet,
    }
}

fn said_done(sha: &str) -> ReportComplete {
    ReportComplete {
        bundle: Some(GitBundle {
            sha: sha.to_owned(),
            data_b64: String::new(),
        }),
        ..ended_report(
            AttemptOutcome::Succeeded,
            AttemptStopReason::CompletionSignal,
        )
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn every_stop_reason_leads_to_its_state() {
    use TaskStatus::{Blocked, Cancelled, Failed, Pending, PendingValidation};
    let it = TestDeployment::new().await;
    let head = it.commit_work("src/new.txt").await;
    let protected = it.commit_work(".omoi_os/tasks.md").await;
    let outside = ReportComplete {
        refused_paths: vec!["../etc".to_owned()],
        ..said_done(head.as_str())
    };
    let incomplete = |why| {
        (
            ended_report(AttemptOutcome::Incomplete, why),
            left(Pending, 1, 0, Some(UnmetCode::Incomplete)),
        )
    };
    let interrupted = |why| {
        (
            ended_report(AttemptOutcome::Interrupted, why),
            left(Pending, 0, 0, None),
        )
    };
    let error = |class, status, retries| {
        (
            failed_report(class, "it broke"),
            left(status, 0, retries, None),
        )
    };
    let cases = [
        (
            said_done(head.as_str()),
            left(PendingValidation, 0, 0, None),
        ),
        (
            ended_report(
                AttemptOutcome::Succeeded,
                AttemptStopReason::CompletionSignal,
            ),
            left(Pending, 1, 0, Some(UnmetCode::NoChange)),
        ),
        (
            said_done(it.base.as_str()),
            left(Pending, 1, 0, Some(UnmetCode::NoChange)),
        ),
        (
            said_done(protected.as_str()),
            left(Pending, 1, 0, Some(UnmetCode::ProtectedPath)),
        ),
        (
            outside,
            left(Pending, 1, 0, Some(UnmetCode::OutsideWorkspace)),
        ),
        incomplete(AttemptStopReason::MaxTurnsReached),
        incomplete(AttemptStopReason::MaxDurationReached),
        interrupted(AttemptStopReason::ShutdownSignal),
        interrupted(AttemptStopReason::Interrupt),
        error(ErrorClass::AgentError, Pending, 1),
        error(ErrorClass::ResourceExhausted, Pending, 1),
        error(ErrorClass::Upstream5xx, Pending, 0),
        error(ErrorClass::RateLimited, Pending, 0),
        error(ErrorClass::Unknown, Pending, 1),
        error(ErrorClass::QuotaExceeded, Blocked, 0),
        error(ErrorClass::PolicyViolation, Failed, 0),
        error(ErrorClass::AuthFailed, Blocked, 0),
        error(ErrorClass::UpstreamRefused, Blocked, 0),
        error(ErrorClass::ModelDeclined, Blocked, 0),
        error(ErrorClass::ToolsInWords, Blocked, 0),
    ];
    let cases = cases.map(|(body, expected)| (None, body, expected));
    // An interrupt of a person calls the task off, one of the platform does not.
    let by = |sender, status| {
        let body = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
        (Some(sender), body, left(status, 0, 0, None))
    };
    let cases = cases
        .into_iter()
        .chain([by(MessageSender::User, Cancelled)]);
    for (number, (interrupted_by, body, expected)) in (1..).zip(cases) {
        let task = it.add_task(number, &[]).await;
        let created = it.run_task(task.id).await;
        assert_eq!(it.slots_in_use().await, 1);
        if let Some(sender) = interrupted_by {
            it.commit(async |tx| {
                let message =
                    messages::queue(tx, &task, MessageType::Interrupt, "stop", sender).await?;
                messages::ack(tx, message.id, created.attempt.id).await
            })
            .await
            .unwrap();
        }
        let what = format!("{:?} {}", body.outcome, body.stop_reason);
        complete_attempt(&it.build_part(), &created.attempt, body.clone())
            .await
            .unwrap();
        let task = it.task_now(task.id).await;
        let found = Left {
            status: task.status,
            round: task.round,
            retries: task.retry_count,
            unmet: task.revision.as_ref().map(|r| r.0.code),
        };
        assert_eq!(found, expected, "{what}: {:?}", body.error_class);
        assert_eq!(it.slots_in_use().await, 0, "{what}");
        let attempt = it.attempt_now(&created.attempt).await;
        assert!(!attempt.state.is_live(), "{what}");
        let sandbox = sandboxes::of_attempt(&mut it.read_tx().await, attempt.id).await;
        assert_eq!(sandbox.unwrap().state, SandboxState::Completing, "{what}");
        // It takes effect once: the same again is answered as before, anything else is too late.
        let again = complete_attempt(&it.build_part(), &created.attempt, body.clone()).await;
        assert!(again.is_ok(), "{what}: {again:?}");
        let other = ReportComplete {
            stop_reason: AttemptStopReason::Done,
            ..body
        };
        let other = complete_attempt(&it.build_part(), &created.attempt, other).await;
        assert!(
            matches!(other, Err(IntakeError::Superseded)),
            "{what}: {other:?}"
        );
        assert_eq!(it.task_now(task.id).await, task, "{what}");
    }
}

#[tokio::test]
async fn an_end_before_the_start_changes_nothing_or_waits() {
    let it = TestDeployment::new().await;
    let head = it.commit_work("src/new.txt").await;
    let cases = [
        (said_done(head.as_str()), None),
        (
            ended_report(
                AttemptOutcome::Incomplete,
                AttemptStopReason::MaxTurnsReached,
            ),
            None,
        ),
        (failed_report(ErrorClass::AgentError, "no model"), Some(1)),
        (
            ended_report(
                AttemptOutcome::Interrupted,
                AttemptStopReason::ShutdownSignal,
            ),
            Some(0),
        ),
    ];
    for (number, (body, retries)) in (1..).zip(cases) {
        let task = it.add_task(number, &[]).await;
        let created = it.claim_task(task.id).await.unwrap();
        it.bind_sandbox(&created.attempt).await.unwrap();
        let before = it.task_now(task.id).await;
        let result = complete_attempt(&it.build_part(), &created.attempt, body).await;
        let after = it.task_now(task.id).await;
        match retries {
            // Nothing can have been done by a worker that never came up.
            None => {
                assert!(matches!(result, Err(IntakeError::Refused(_))), "{result:?}");
                assert_eq!(after, before);
            }
            Some(retries) => {
                result.unwrap();
                assert_eq!(
                    (after.status, after.retry_count),
                    (TaskStatus::Pending, retries)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_task_called_off_stays_so_whatever_its_worker_says() {
    let it = TestDeployment::new().await;
    for (number, outcome) in (1..).zip([
        AttemptOutcome::Interrupted,
        AttemptOutcome::Failed,
        AttemptOutcome::Incomplete,
    ]) {
        let task = it.add_task(number, &[]).await;
        let created = it.run_task(task.id).await;
        it.commit(async |tx| {
            let mut task = omoi_store::tasks::get(tx, task.id).await?;
            omoi_execution::tasks::cancel(tx, &mut task, "no longer wanted").await
        })
        .await
        .unwrap();
        let ack =
            omoi_execution::intake::report_heartbeat(&it.deployment.store, created.attempt.id)
                .await;
        assert_eq!(ack.unwrap().commands, ["abort"]);
        let result = complete_attempt(
            &it.build_part(),
            &created.attempt,
            ended_report(outcome, AttemptStopReason::Interrupt),
        )
        .await;
        assert!(matches!(result, Err(IntakeError::Superseded)), "{result:?}");
        assert_eq!(it.task_now(task.id).await.status, TaskStatus::Cancelled);
    }
    assert_eq!(it.slots_in_use().await, 0);
}
