//! Sent back, failed, blocked, called off, tried again.

use std::time::Duration;

use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::retry::{ErrorClass, task_delay};
use omoi_domain::task::{Priority, TaskStatus, UnmetCode};
use omoi_execution::intake::complete_attempt;
use omoi_execution::tasks::{block_dependents, cancel, retry_by_person, send_back};
use omoi_runtime::clock::Clock as _;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, tasks};
use omoi_testkit::deployment::{TestDeployment, failed_report};
use omoi_testkit::sample_rows::merge;

use crate::dispatch::scan;

fn unmet() -> UnmetResult {
    UnmetResult {
        code: UnmetCode::ChecksFailed,
        feedback: "2 of 3 tests fail\nassert 1 == 2".to_owned(),
        recommendations: vec!["Mend test_b".to_owned()],
    }
}

async fn sent_back(it: &TestDeployment, task: &Task) -> Task {
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        send_back(tx, &mut task, unmet()).await?;
        Ok(task)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn three_rounds_then_failed_and_dependents_blocked() {
    let it = TestDeployment::new().await;
    let first = it.add_task(1, &[]).await;
    let second = it.add_task(2, &[first.id]).await;
    let third = it.add_task(3, &[second.id]).await;
    let apart = it.add_task(4, &[]).await;
    for round in 1..=3 {
        it.run_task(first.id).await;
        let task = sent_back(&it, &first).await;
        let revision = &task.revision.as_ref().unwrap().0;
        assert_eq!((task.round, revision.iteration), (round, round));
        assert!(revision.feedback.contains("assert 1 == 2"));
        assert_eq!(revision.recommendations, ["Mend test_b"]);
        assert_eq!(task.priority, Priority::High);
        let expected = if round < 3 {
            TaskStatus::Pending
        } else {
            TaskStatus::Failed
        };
        assert_eq!(task.status, expected);
        // The rounds of a check attempt end the agent's attempt long before; here it is ended by hand.
        it.commit(async |tx| {
            let mut attempt = omoi_store::attempts::get(tx, task.attempt_id.unwrap()).await?;
            let to = omoi_domain::attempt::AttemptState::Succeeded;
            omoi_store::attempts::transition(tx, &mut attempt, to).await
        })
        .await
        .unwrap();
    }
    for blocked in [second.id, third.id] {
        let task = it.task_now(blocked).await;
        assert_eq!(task.status, TaskStatus::Blocked);
        assert_eq!(
            task.blocked_reason.as_deref(),
            Some("dependency_failed:TSK-001")
        );
    }
    assert_eq!(it.task_now(apart.id).await.status, TaskStatus::Pending);
    // A person tries again: all rounds, and what waited is free.
    it.commit(async |tx| {
        let mut task = tasks::get(tx, first.id).await?;
        retry_by_person(tx, &mut task).await
    })
    .await
    .unwrap();
    for id in [first.id, second.id, third.id] {
        let task = it.task_now(id).await;
        let seen = (task.status, task.round, task.blocked_reason);
        assert_eq!(seen, (TaskStatus::Pending, 0, None));
    }
}

#[tokio::test]
async fn retries_wait_longer_each_time_and_end() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let second = it.add_task(2, &[task.id]).await;
    let causes = ["first cause", "second cause", "third cause", "fourth cause"];
    for (retries, cause) in (1..).zip(causes) {
        let created = it.run_task(task.id).await;
        complete_attempt(
            &it.build_part(),
            &created.attempt,
            failed_report(ErrorClass::SandboxLost, cause),
        )
        .await
        .unwrap();
        let now = it.task_now(task.id).await;
        assert_eq!(
            now.error_message.as_deref(),
            Some(format!("sandbox_lost: {cause}").as_str())
        );
        if retries == 4 {
            assert_eq!((now.status, now.retry_count), (TaskStatus::Failed, 3));
            assert_eq!(it.task_now(second.id).await.status, TaskStatus::Blocked);
            return;
        }
        assert_eq!(
            (now.status, now.retry_count),
            (TaskStatus::Pending, retries)
        );
        let waits = now.not_before.since(it.clock.now());
        let (least, most) = (task_delay(retries, 0.75), task_delay(retries, 1.25));
        assert!(
            least <= waits && waits <= most,
            "retry {retries}: {waits:?}"
        );
        let eligible = async || {
            tasks::eligible(&mut it.read_tx().await, scan(&it))
                .await
                .unwrap()
                .len()
        };
        assert_eq!(eligible().await, 0);
        it.clock.advance(waits);
        assert_eq!(eligible().await, 1);
    }
    panic!("it was tried for ever");
}

#[tokio::test]
async fn three_equal_failures_end_it_and_a_rate_limit_costs_no_retry() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    for n in 1..=3 {
        let created = it.run_task(task.id).await;
        let message = format!("exit code {n} at line {n}7");
        let body = failed_report(ErrorClass::AgentError, &message);
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
    }
    let now = it.task_now(task.id).await;
    assert_eq!((now.status, now.retry_count), (TaskStatus::Failed, 2));
    let patient = it.add_task(2, &[]).await;
    let created = it.run_task(patient.id).await;
    complete_attempt(
        &it.build_part(),
        &created.attempt,
        failed_report(ErrorClass::RateLimited, "slow down"),
    )
    .await
    .unwrap();
    let now = it.task_now(patient.id).await;
    assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
    assert!(now.not_before > it.clock.now());
}

#[tokio::test]
async fn a_worker_that_lost_the_platform_is_told_as_that() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let created = it.run_task(task.id).await;
    let words = "could not connect to the platform: connection refused";
    let body = failed_report(ErrorClass::Network, words);
    complete_attempt(&it.build_part(), &created.attempt, body)
        .await
        .unwrap();
    let now = it.task_now(task.id).await;
    assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 1));
    let expected = format!("network: {words}");
    assert_eq!(now.error_message.as_deref(), Some(expected.as_str()));
    assert!(!now.waits_for_outside());
}

#[tokio::test]
async fn a_task_waits_for_its_provider_and_then_for_a_person() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let waiting = it.add_task(2, &[task.id]).await;
    let outage = async || {
        let created = it.run_task(task.id).await;
        let body = failed_report(ErrorClass::Upstream5xx, "status 529: Overloaded");
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        it.task_now(task.id).await
    };
    // More often than its retries, and always alike.
    for pause in [5, 10, 20, 40, 60, 60] {
        let now = outage().await;
        assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
        assert_eq!(now.not_before, it.clock.now() + Duration::from_secs(pause));
        it.clock.advance(Duration::from_secs(pause));
    }
    it.clock.advance(Duration::from_mins(15));
    let now = outage().await;
    assert_eq!((now.status, now.retry_count), (TaskStatus::Blocked, 0));
    let reason = "provider_unavailable (upstream_5xx): status 529: Overloaded";
    assert_eq!(now.blocked_reason.as_deref(), Some(reason));
    assert!(now.waits_for_outside());
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);

    // A person tries it again once the provider is back.
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        retry_by_person(tx, &mut task).await
    })
    .await
    .unwrap();
    assert_eq!(it.task_now(task.id).await.status, TaskStatus::Pending);
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
    it.clock.advance(Duration::from_secs(1));
    assert_eq!(outage().await.status, TaskStatus::Pending);
}

#[tokio::test]
async fn only_open_dependents_of_a_cancelled_task_are_blocked() {
    let it = TestDeployment::new().await;
    let first = it.add_task(1, &[]).await;
    let waiting = it.add_task(2, &[first.id]).await;
    let working = it.add_task(3, &[first.id]).await;
    it.run_task(working.id).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, first.id).await?;
        cancel(tx, &mut task, "no longer wanted").await
    })
    .await
    .unwrap();
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    assert_eq!(it.task_now(working.id).await.status, TaskStatus::Running);
    let again = it
        .commit(async |tx| {
            let mut task = tasks::get(tx, first.id).await?;
            cancel(tx, &mut task, "once more").await
        })
        .await;
    assert!(matches!(again, Err(StoreError::Transition(_))));
}

#[tokio::test]
async fn what_waits_for_two_lost_tasks_is_freed_by_the_second() {
    let it = TestDeployment::new().await;
    let (one, two) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let between = it.add_task(3, &[two.id]).await;
    let waiting = it.add_task(4, &[one.id, between.id]).await;
    let lose = async |lost: &Task| {
        let lost = it.commit(async |tx| {
            let mut task = tasks::get(tx, lost.id).await?;
            tasks::transition(tx, &mut task, TaskStatus::Failed, None).await?;
            block_dependents(tx, &task).await
        });
        lost.await.unwrap();
    };
    let again = async |lost: &Task| {
        let lost = it.commit(async |tx| {
            let mut task = tasks::get(tx, lost.id).await?;
            retry_by_person(tx, &mut task).await
        });
        lost.await.unwrap();
        let now = it.task_now(waiting.id).await;
        (now.status, now.blocked_reason)
    };
    let refused = async |lost: &Task| {
        let created = it.run_task(lost.id).await;
        let body = failed_report(ErrorClass::AuthFailed, "no such key");
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        assert!(it.task_now(lost.id).await.waits_for_outside());
    };
    let reason = "dependency_failed:TSK-002".to_owned();
    lose(&one).await;
    lose(&two).await;
    assert_eq!(
        again(&one).await,
        (TaskStatus::Blocked, Some(reason.clone()))
    );
    assert_eq!(again(&two).await, (TaskStatus::Pending, None));
    // One that waits for its provider is lost until a person tries it again.
    refused(&one).await;
    refused(&two).await;
    assert_eq!(again(&one).await, (TaskStatus::Blocked, Some(reason)));
    assert_eq!(again(&two).await, (TaskStatus::Pending, None));
}

/// A completed task whose conflict `resolve` could not resolve.
async fn unresolved(it: &TestDeployment) -> (Task, Task, Merge) {
    let (source, resolve) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let unresolved = it.commit(async |tx| {
        let merge = Merge {
            resolve_task_id: Some(resolve.id),
            restarts: 4,
            ..merge(tx, &source, MergeState::Manual, &"i".repeat(40))
        };
        merges::insert(tx, &merge).await?;
        let mut source = tasks::get(tx, source.id).await?;
        source.status = TaskStatus::Completed;
        source.integration_state = IntegrationState::Manual;
        tasks::save(tx, &mut source).await?;
        let mut resolve = tasks::get(tx, resolve.id).await?;
        resolve.status = TaskStatus::Failed;
        resolve.resolves_merge_id = Some(merge.id);
        tasks::save(tx, &mut resolve).await?;
        Ok(merge)
    });
    let merge = unresolved.await.unwrap();
    (source, resolve, merge)
}

#[tokio::test]
async fn trying_a_failed_resolution_again_merges_again() {
    let it = TestDeployment::new().await;
    let (source, resolve, merge) = unresolved(&it).await;
    let waiting = it.add_task(3, &[source.id]).await;
    it.commit(async |tx| {
        let source = tasks::get(tx, source.id).await?;
        omoi_execution::tasks::block_dependents(tx, &source).await?;
        let mut resolve = tasks::get(tx, resolve.id).await?;
        retry_by_person(tx, &mut resolve).await
    })
    .await
    .unwrap();
    let merge = merges::get(&mut it.read_tx().await, merge.id)
        .await
        .unwrap();
    assert_eq!((merge.state, merge.restarts), (MergeState::Pending, 0));
    let source = it.task_now(source.id).await;
    assert_eq!(source.integration_state, IntegrationState::Queued);
    // Should it conflict again, a task of its own is cut from the head of then.
    let resolve = it.task_now(resolve.id).await;
    assert_eq!(
        (resolve.status, resolve.needed),
        (TaskStatus::Cancelled, false)
    );
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
}

#[tokio::test]
async fn trying_a_task_again_ends_the_merge_that_waits_for_a_person() {
    let it = TestDeployment::new().await;
    let (source, resolve, merge) = unresolved(&it).await;
    it.commit(async |tx| {
        let mut source = tasks::get(tx, source.id).await?;
        retry_by_person(tx, &mut source).await
    })
    .await
    .unwrap();
    let source = it.task_now(source.id).await;
    let seen = (source.status, source.integration_state);
    assert_eq!(seen, (TaskStatus::Pending, IntegrationState::None));
    let merge = merges::get(&mut it.read_tx().await, merge.id)
        .await
        .unwrap();
    assert_eq!(merge.state, MergeState::Cancelled);
    // Nothing is left for its resolution to resolve, and nobody misses it.
    let resolve = it.task_now(resolve.id).await;
    let seen = (resolve.status, resolve.needed);
    assert_eq!(seen, (TaskStatus::Cancelled, false));
}

#[tokio::test]
async fn trying_a_task_again_leaves_a_resolution_that_is_done_alone() {
    let it = TestDeployment::new().await;
    let (source, resolve, _) = unresolved(&it).await;
    // It landed without the other side, too often.
    let again = it.commit(async |tx| {
        let mut resolve = tasks::get(tx, resolve.id).await?;
        resolve.status = TaskStatus::Completed;
        tasks::save(tx, &mut resolve).await?;
        let mut source = tasks::get(tx, source.id).await?;
        retry_by_person(tx, &mut source).await
    });
    again.await.unwrap();
    assert_eq!(it.task_now(source.id).await.status, TaskStatus::Pending);
    let resolve = it.task_now(resolve.id).await;
    assert_eq!(resolve.status, TaskStatus::Completed);
}

#[tokio::test]
async fn what_landed_is_not_tried_again() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    for integration in [IntegrationState::Merged, IntegrationState::Queued] {
        let result = it
            .commit(async |tx| {
                let mut task = tasks::get(tx, task.id).await?;
                task.status = TaskStatus::Completed;
                task.integration_state = integration;
                retry_by_person(tx, &mut task).await
            })
            .await;
        assert!(
            matches!(result, Err(StoreError::Transition(_))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_task_is_tried_again_with_what_waits_for_it() {
    let it = TestDeployment::new().await;
    let first = it.add_task(1, &[]).await;
    let second = it.add_task(2, &[first.id]).await;
    let moved = it.commit(async |tx| {
        let mut task = tasks::get(tx, first.id).await?;
        cancel(tx, &mut task, "cancelled by a person").await?;
        let waiting = tasks::get(tx, second.id).await?.status;
        retry_by_person(tx, &mut task).await?;
        Ok((waiting, task.status))
    });
    let moved = moved.await.unwrap();
    assert_eq!(moved, (TaskStatus::Blocked, TaskStatus::Pending));
    assert_eq!(it.task_now(second.id).await.status, TaskStatus::Pending);
}

#[tokio::test]
async fn a_resolution_that_nothing_needs_stays_cancelled() {
    let it = TestDeployment::new().await;
    let source = it.add_task(1, &[]).await;
    let resolve = it.add_task(2, &[]).await;
    for (state, expected) in [(MergeState::Completed, false), (MergeState::Manual, true)] {
        let retried = it.commit(async |tx| {
            let merge = merge(tx, &source, state, &"a".repeat(40));
            merges::insert(tx, &merge).await?;
            let mut task = tasks::get(tx, resolve.id).await?;
            task.status = TaskStatus::Cancelled;
            task.resolves_merge_id = Some(merge.id);
            tasks::save(tx, &mut task).await?;
            retry_by_person(tx, &mut task).await
        });
        assert_eq!(retried.await.is_ok(), expected, "{state}");
    }
}

#[tokio::test]
async fn the_last_failure_is_told_as_the_last() {
    use omoi_domain::event::EventKind;
    let it = TestDeployment::new().await;
    let kinds = async |id| {
        let mut tx = it.read_tx().await;
        let all = omoi_store::events::after(&mut tx, 0).await.unwrap();
        let of_task = |event: &omoi_domain::event::Event| match event {
            omoi_domain::event::Event::TaskFailed(change)
            | omoi_domain::event::Event::TaskPermanentlyFailed(change) => change.task_id == id,
            _ => false,
        };
        let told = all.into_iter().filter(|stored| of_task(&stored.event));
        told.map(|stored| stored.event.kind()).collect::<Vec<_>>()
    };
    for (number, class, expected) in [
        (
            1,
            ErrorClass::AgentError,
            vec![EventKind::TaskFailed, EventKind::TaskPermanentlyFailed],
        ),
        (
            2,
            ErrorClass::RepoMissing,
            vec![EventKind::TaskPermanentlyFailed],
        ),
    ] {
        let task = it.add_task(number, &[]).await;
        for _ in 0..expected.len() {
            it.commit(async |tx| {
                let mut task = tasks::get(tx, task.id).await?;
                task.max_retries = 1;
                omoi_execution::tasks::fail_attempted(
                    tx,
                    &it.build_part(),
                    &mut task,
                    class,
                    "broken",
                )
                .await
            })
            .await
            .unwrap();
        }
        assert_eq!(kinds(task.id).await, expected, "{class}");
        assert_eq!(it.task_now(task.id).await.status, TaskStatus::Failed);
    }
}
