//! Work in the merge queue, with what its checks need.

use omoi_delivery::receipts;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::check::CheckStage;
use omoi_domain::id::TaskId;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::insert_attempt;
use omoi_git::object::ObjectId;
use omoi_store::attempts;
use omoi_store::checks::Check;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

/// A completed task in the queue whose head is `sha`.
pub(crate) async fn queued(it: &TestDeployment, state: MergeState, sha: &str) -> (Task, Merge) {
    let task = it.add_task(1, &[]).await;
    enqueue(it, task.id, state, sha).await
}

/// Puts a task into the queue as its validator does.
pub(crate) async fn enqueue(
    it: &TestDeployment,
    task: TaskId,
    state: MergeState,
    sha: &str,
) -> (Task, Merge) {
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task).await?;
        task.status = TaskStatus::Completed;
        task.head_sha = Some(sha.to_owned());
        task.integration_state = match state {
            MergeState::Pending => IntegrationState::Queued,
            _ => IntegrationState::Merging,
        };
        tasks::save(tx, &mut task).await?;
        let merge = sample_rows::merge(tx, &task, state, sha);
        merges::insert(tx, &merge).await?;
        Ok((task, merge))
    })
    .await
    .unwrap()
}

/// A live attempt at something that no row says is at work: whoever begins another is refused.
pub(crate) async fn blocked_by_an_attempt(it: &TestDeployment, subject: AttemptSubject) {
    it.commit(async |tx| {
        let new = it.new_attempt(subject, AgentRole::Platform);
        insert_attempt(tx, &it.build_part(), new).await
    })
    .await
    .map(drop)
    .unwrap();
}

/// Runs `todo` as the project brings it.
pub(crate) const TODO_CHECK: &str = "chmod +x bin/* && PATH=bin:$PATH todo list";
/// The project's `todo`.
pub(crate) const TODO: &str = "#!/bin/sh\necho nothing to do\n";

/// Has the check of `task` pass on its own branch at `commit`, as its validator does.
pub(crate) async fn passes_alone(
    it: &TestDeployment,
    (task, check): (&Task, &Check),
    at: &ObjectId,
) {
    let attempt = it.commit(async |tx| {
        let new = it.new_attempt(
            AttemptSubject::TaskChecks { task_id: task.id },
            AgentRole::Platform,
        );
        let mut attempt = insert_attempt(tx, &it.build_part(), new).await?.attempt;
        attempts::transition(tx, &mut attempt, AttemptState::Lost).await?;
        Ok(attempt.id)
    });
    let run = receipts::CheckBatch {
        spec: &it.spec,
        attempt: attempt.await.unwrap(),
        stage: CheckStage::Task,
        commit: at,
        checks: vec![check.clone()],
        task: Some(task.id),
    };
    let receipts = receipts::run_checks(&it.build_part(), run).await.unwrap();
    for (_, receipt) in receipts {
        assert!(receipt.passed, "{receipt:?}");
    }
}

/// A commit on top of `on` that gives `todo` another name.
pub(crate) async fn renamed(it: &TestDeployment, on: &ObjectId) -> ObjectId {
    let removed = it.commit_on(on, "bin/todo", None).await;
    it.commit_on(&removed, "bin/tasks", Some(TODO)).await
}
