//! What each way to end leaves behind: the task's state, and no slot held.

use omoi_domain::attempt::Outcome;
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::TaskStatus;
use omoi_execution::intake::{IntakeError, complete};
use omoi_protocol::worker::{Bundle, Complete};
use omoi_store::{messages, sandboxes};

use crate::support::{TestPlatform, ended, failed};

/// What is left of a task.
#[derive(Debug, PartialEq)]
struct Left {
    status: TaskStatus,
    round: u32,
    retries: u32,
    /// The first word of its revision.
    unmet: Option<String>,
}

fn left(status: TaskStatus, round: u32, retries: u32, unmet: Option<&str>) -> Left {
    Left {
        status,
        round,
        retries,
        unmet: unmet.map(str::to_owned),
    }
}

fn said_done(sha: &str) -> Complete {
    Complete {
        bundle: Some(Bundle {
            sha: sha.to_owned(),
            data_b64: String::new(),
        }),
        ..ended(Outcome::Succeeded, "completion_signal")
    }
}

#[tokio::test]
async fn every_stop_reason_leads_to_its_state() {
    use TaskStatus::{Blocked, Cancelled, Failed, Pending, PendingValidation};
    let it = TestPlatform::new().await;
    let head = it.work("src/new.txt").await;
    let protected = it.work(".omoi_os/tasks.md").await;
    let outside = Complete {
        refused_paths: vec!["../etc".to_owned()],
        ..said_done(head.as_str())
    };
    let incomplete = |why| {
        (
            ended(Outcome::Incomplete, why),
            left(Pending, 1, 0, Some("incomplete")),
        )
    };
    let interrupted = |why| (ended(Outcome::Interrupted, why), left(Pending, 0, 0, None));
    let error =
        |class, status, retries| (failed(class, "it broke"), left(status, 0, retries, None));
    let cases = [
        (
            said_done(head.as_str()),
            left(PendingValidation, 0, 0, None),
        ),
        (
            ended(Outcome::Succeeded, "completion_signal"),
            left(Pending, 1, 0, Some("no_change")),
        ),
        (
            said_done(it.base.as_str()),
            left(Pending, 1, 0, Some("no_change")),
        ),
        (
            said_done(protected.as_str()),
            left(Pending, 1, 0, Some("protected_path")),
        ),
        (outside, left(Pending, 1, 0, Some("outside_workspace"))),
        incomplete("max_turns_reached"),
        incomplete("max_cost_reached"),
        incomplete("max_duration_reached"),
        interrupted("shutdown_signal"),
        interrupted("interrupt"),
        error("agent_error", Pending, 1),
        error("resource_exhausted", Pending, 1),
        error("upstream_5xx", Pending, 0),
        error("rate_limited", Pending, 0),
        error("no such class", Pending, 1),
        error("quota_exceeded", Failed, 0),
        error("policy_violation", Failed, 0),
        error("auth_failed", Blocked, 0),
        error("upstream_refused", Blocked, 0),
    ];
    let cases = cases.map(|(body, expected)| (None, body, expected));
    // An interrupt of a person calls the task off, one of the platform does not.
    let by = |sender, status| {
        let body = ended(Outcome::Interrupted, "interrupt");
        (Some(sender), body, left(status, 0, 0, None))
    };
    let cases = cases
        .into_iter()
        .chain([by("user", Cancelled), by("guardian", Pending)]);
    for (number, (interrupted_by, body, expected)) in (1..).zip(cases) {
        let task = it.task(number, &[]).await;
        let created = it.run(task.id).await;
        assert_eq!(it.slots().await, 1);
        if let Some(sender) = interrupted_by {
            it.commit(async |tx| {
                let message = messages::queue(tx, &task, "interrupt", "stop", sender).await?;
                messages::ack(tx, message.id, created.attempt.id).await
            })
            .await
            .unwrap();
        }
        let what = format!("{:?} {}", body.outcome, body.stop_reason);
        complete(&it.platform, &created.attempt, body.clone())
            .await
            .unwrap();
        let task = it.task_now(task.id).await;
        let found = Left {
            status: task.status,
            round: task.round,
            retries: task.retry_count,
            unmet: task
                .revision
                .as_ref()
                .and_then(|r| r.0.feedback.split(':').next().map(str::to_owned)),
        };
        assert_eq!(found, expected, "{what}: {:?}", body.error_class);
        assert_eq!(it.slots().await, 0, "{what}");
        let attempt = it.attempt_now(&created.attempt).await;
        assert!(!attempt.state.is_live(), "{what}");
        let sandbox = sandboxes::of_attempt(&mut it.read().await, attempt.id).await;
        assert_eq!(sandbox.unwrap().state, SandboxState::Completing, "{what}");
        // It takes effect once: the same again is answered as before, anything else is too late.
        let again = complete(&it.platform, &created.attempt, body.clone()).await;
        assert!(again.is_ok(), "{what}: {again:?}");
        let other = Complete {
            stop_reason: "another".to_owned(),
            ..body
        };
        let other = complete(&it.platform, &created.attempt, other).await;
        assert!(
            matches!(other, Err(IntakeError::Superseded)),
            "{what}: {other:?}"
        );
        assert_eq!(it.task_now(task.id).await, task, "{what}");
    }
}

#[tokio::test]
async fn an_end_before_the_start_changes_nothing_or_waits() {
    let it = TestPlatform::new().await;
    let head = it.work("src/new.txt").await;
    let cases = [
        (said_done(head.as_str()), None),
        (ended(Outcome::Incomplete, "max_turns_reached"), None),
        (failed("agent_error", "no model"), Some(1)),
        (ended(Outcome::Interrupted, "shutdown_signal"), Some(0)),
    ];
    for (number, (body, retries)) in (1..).zip(cases) {
        let task = it.task(number, &[]).await;
        let created = it.claim(task.id).await.unwrap();
        it.bind(&created.attempt).await.unwrap();
        let before = it.task_now(task.id).await;
        let result = complete(&it.platform, &created.attempt, body).await;
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
    let it = TestPlatform::new().await;
    for (number, outcome) in (1..).zip([Outcome::Interrupted, Outcome::Failed, Outcome::Incomplete])
    {
        let task = it.task(number, &[]).await;
        let created = it.run(task.id).await;
        it.commit(async |tx| {
            let mut task = omoi_store::tasks::get(tx, task.id).await?;
            omoi_execution::tasks::cancel(tx, &mut task, "no longer wanted").await
        })
        .await
        .unwrap();
        let ack = omoi_execution::intake::heartbeat(&it.platform, created.attempt.id).await;
        assert_eq!(ack.unwrap().commands, ["abort"]);
        let result = complete(&it.platform, &created.attempt, ended(outcome, "interrupt")).await;
        assert!(matches!(result, Err(IntakeError::Superseded)), "{result:?}");
        assert_eq!(it.task_now(task.id).await.status, TaskStatus::Cancelled);
    }
    assert_eq!(it.slots().await, 0);
}
