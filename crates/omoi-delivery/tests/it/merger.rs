//! A merge that fails is tried again a few times, then waits for a person.

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::{Merger, RESTARTS_MAX};
use omoi_domain::attempt::{AttemptState, Subject};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::{NewAttempt, insert, role};
use omoi_execution::consume::Consume as _;
use omoi_runtime::clock::Clock as _;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, attempts, specs};

use crate::support::TestPlatform;

/// A completed task in the queue whose head is `sha`.
pub(crate) async fn queued(it: &TestPlatform, state: MergeState, sha: &str) -> (Task, Merge) {
    let task = it.task(1, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = match state {
            MergeState::Pending => IntegrationState::Queued,
            _ => IntegrationState::Merging,
        };
        tasks::save(tx, &mut task).await?;
        let merge = Merge {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: task.spec_id,
            task_id: task.id,
            state,
            level: 0,
            ordinal: 0,
            target_branch: it.spec.integration_branch.clone(),
            incoming_sha: sha.to_owned(),
            target_sha: None,
            merged_sha: None,
            conflicts: Json(Vec::new()),
            forecast: Json(Vec::new()),
            resolve_task_id: None,
            restarts: 0,
            error: None,
            created_at: tx.now(),
            started_at: None,
            completed_at: None,
            state_version: 0,
        };
        merges::insert(tx, &merge).await?;
        Ok((task, merge))
    })
    .await
    .unwrap()
}

/// One pass, and all the work it began.
async fn pass(it: &TestPlatform, merger: &mut Merger) {
    merger.tick(it.clock.now()).await.unwrap();
    while !it.platform.running.ids().is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn merge_now(it: &TestPlatform, merge: &Merge) -> Merge {
    merges::get(&mut it.read().await, merge.id).await.unwrap()
}

#[tokio::test]
async fn a_merge_that_cannot_be_made_waits_for_a_person() {
    let it = TestPlatform::new().await;
    let (task, merge) = queued(&it, MergeState::Pending, &"f".repeat(40)).await;
    let waiting = it.task(2, &[task.id]).await;
    let mut merger = Merger::new(it.platform.clone());
    for _ in 0..RESTARTS_MAX + 4 {
        pass(&it, &mut merger).await;
    }
    let merge = merge_now(&it, &merge).await;
    assert_eq!(
        (merge.state, merge.restarts),
        (MergeState::Manual, RESTARTS_MAX)
    );
    assert!(merge.error.is_some());
    let task = it.task_now(task.id).await;
    assert_eq!(task.integration_state, IntegrationState::Manual);
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    let tries = attempts::of_subject(&mut it.read().await, &merge.id.to_string())
        .await
        .unwrap();
    assert_eq!(tries.len() as u32, RESTARTS_MAX + 1);
    // The spec says so.
    Finisher::new(it.platform.clone())
        .tick(it.clock.now())
        .await
        .unwrap();
    let spec = specs::get(&mut it.read().await, it.spec.id).await.unwrap();
    assert_eq!(spec.status, SpecStatus::Blocked);
    assert!(spec.last_error.unwrap().contains("waits for a person"));
}

#[tokio::test]
async fn a_merge_whose_process_died_is_taken_up_without_counting() {
    let it = TestPlatform::new().await;
    let head = it.work("src/new.txt").await;
    let (task, merge) = queued(&it, MergeState::Verifying, head.as_str()).await;
    it.commit(async |tx| {
        let new = NewAttempt {
            project_id: task.project_id,
            spec_id: task.spec_id,
            subject: Subject::Merge,
            subject_id: merge.id.to_string(),
            round: 0,
            role: role::PLATFORM,
            fence: 1,
            base_sha: None,
        };
        let mut attempt = insert(tx, &it.platform, new).await?.attempt;
        attempts::transition(tx, &mut attempt, AttemptState::Lost).await
    })
    .await
    .unwrap();
    let mut merger = Merger::new(it.platform.clone());
    pass(&it, &mut merger).await;
    // Its checks passed on this very commit, so it lands without further ado.
    let merge = merge_now(&it, &merge).await;
    assert_eq!((merge.state, merge.restarts), (MergeState::Completed, 0));
    assert_eq!(merge.merged_sha.as_deref(), Some(head.as_str()));
    let task = it.task_now(task.id).await;
    assert_eq!(task.integration_state, IntegrationState::Merged);
}
