//! A merge that fails is tried again a few times, then waits for a person.

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::Merger;
use omoi_delivery::receipts;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::lifecycle::merge::RESTARTS_MAX;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::spec::SpecStatus;
use omoi_domain::suite::fault::missing_part;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::insert_attempt;
use omoi_git::object::ObjectId;
use omoi_runtime::clock::Clock as _;
use omoi_store::checks::{self, Check};
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{attempts, specs};
use omoi_testkit::deployment::{self, TestDeployment};

use crate::landed_work::{land, landed_by, task_check};
use crate::queued_work::{
    TODO, TODO_CHECK, blocked_by_an_attempt, enqueue, passes_alone, queued, renamed,
};
use crate::with_sandbox;

/// One pass, and all the work it began.
async fn pass(it: &TestDeployment, merger: &mut Merger) {
    omoi_testkit::deployment::tick_once(merger, it.clock.now()).await;
    while !it.deployment.running.attempt_ids().is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn merge_now(it: &TestDeployment, merge: &Merge) -> Merge {
    merges::get(&mut it.read_tx().await, merge.id)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_merge_that_cannot_be_made_waits_for_a_person() {
    let it = TestDeployment::new().await;
    let (task, merge) = queued(&it, MergeState::Pending, &"f".repeat(40)).await;
    let waiting = it.add_task(2, &[task.id]).await;
    let mut merger = Merger::from_parts(&it.deployment);
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
    let subject = AttemptSubject::Merge { merge_id: merge.id };
    let tries = attempts::of_subject(&mut it.read_tx().await, it.spec.id, subject)
        .await
        .unwrap();
    assert_eq!(tries.len() as u32, RESTARTS_MAX + 1);
    // The spec says so.
    omoi_testkit::deployment::tick_once(&mut Finisher::from_parts(&it.deployment), it.clock.now())
        .await;
    let spec = specs::get(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    assert_eq!(spec.status, SpecStatus::Blocked);
    assert!(spec.last_error.unwrap().contains("waits for a person"));
}

#[tokio::test]
async fn a_merge_whose_process_died_is_taken_up_without_counting() {
    let it = TestDeployment::new().await;
    let head = it.commit_work("src/new.txt").await;
    let (task, merge) = queued(&it, MergeState::Verifying, head.as_str()).await;
    it.commit(async |tx| {
        let new = it.new_attempt(
            AttemptSubject::Merge { merge_id: merge.id },
            AgentRole::Platform,
        );
        let mut attempt = insert_attempt(tx, &it.build_part(), new).await?.attempt;
        attempts::transition(tx, &mut attempt, AttemptState::Lost).await
    })
    .await
    .unwrap();
    let mut merger = Merger::from_parts(&it.deployment);
    pass(&it, &mut merger).await;
    // Its checks passed on this very commit, so it lands without further ado.
    let merge = merge_now(&it, &merge).await;
    assert_eq!((merge.state, merge.restarts), (MergeState::Completed, 0));
    assert_eq!(merge.merged_sha.as_deref(), Some(head.as_str()));
    let task = it.task_now(task.id).await;
    assert_eq!(task.integration_state, IntegrationState::Merged);
}

#[tokio::test]
async fn what_the_machine_lacks_at_the_merge_is_no_round_of_the_agent() {
    for (declared, state, round) in [
        ("iniconfig>=2\n", MergeState::Manual, 0),
        ("other\n", MergeState::Failed, 1),
    ] {
        let (it, folder) = with_sandbox().await;
        let installed = folder.path().join("installed");
        // The target moved, so the merged tree is one that no check has seen.
        let landed = it.add_task(2, &[]).await;
        land(&it, &landed, "requirements.txt", declared).await;
        let head = it.commit_work("src/new.txt").await;
        let (task, merge) = queued(&it, MergeState::Pending, head.as_str()).await;
        let waiting = it.add_task(3, &[task.id]).await;
        it.commit(async |tx| {
            let check = Check {
                command: crate::needs_package(&installed),
                ..task_check(tx, &task)
            };
            checks::insert(tx, &check, &[]).await
        })
        .await
        .unwrap();
        let mut merger = Merger::from_parts(&it.deployment);
        pass(&it, &mut merger).await;
        let seen = merge_now(&it, &merge).await;
        let task = it.task_now(task.id).await;
        assert_eq!((seen.state, task.round), (state, round), "{declared}");
        if state != MergeState::Manual {
            continue;
        }
        let error = seen.error.unwrap();
        assert!(error.starts_with("environment_fault: "), "{error}");
        assert!(error.contains("`iniconfig`"), "{error}");
        assert_eq!(task.status, TaskStatus::Completed);
        assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
        // With the package there, only the merge is tried again, no agent.
        std::fs::create_dir(&installed).unwrap();
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            omoi_execution::tasks::retry_by_person(tx, &mut task).await
        })
        .await
        .unwrap();
        let task = it.task_now(task.id).await;
        let stands = (task.status, task.integration_state);
        assert_eq!(stands, (TaskStatus::Completed, IntegrationState::Queued));
        assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
        pass(&it, &mut merger).await;
        assert_eq!(merge_now(&it, &merge).await.state, MergeState::Completed);
    }
}

/// The task that resolves the conflict of `merge`.
async fn resolution(it: &TestDeployment, merge: &Merge) -> Task {
    let merge = merge_now(it, merge).await;
    assert_eq!(merge.state, MergeState::Resolving);
    it.task_now(merge.resolve_task_id.unwrap()).await
}

#[tokio::test]
async fn a_resolution_that_conflicts_itself_lands_with_all_it_resolves() {
    let it = TestDeployment::new().await;
    let mut merger = Merger::from_parts(&it.deployment);
    let (one, two, three) = (
        it.add_task(1, &[]).await,
        it.add_task(2, &[]).await,
        it.add_task(3, &[]).await,
    );
    let mut proofs = Vec::new();
    for task in [&one, &two, &three] {
        let check = it.commit(async |tx| {
            let check = task_check(tx, task);
            checks::insert(tx, &check, &[]).await?;
            Ok(check)
        });
        proofs.push(check.await.unwrap().id);
    }
    let text = async |on: &ObjectId, text: &str| it.commit_on(on, "f", Some(text)).await;
    let (first, second) = (text(&it.base, "1").await, text(&it.base, "2").await);
    let third = text(&first, "3").await;
    let pending = MergeState::Pending;
    enqueue(&it, one.id, pending, first.as_str()).await;
    pass(&it, &mut merger).await;
    let (_, second_merge) = enqueue(&it, two.id, pending, second.as_str()).await;
    pass(&it, &mut merger).await;
    let resolve = resolution(&it, &second_merge).await;
    enqueue(&it, three.id, pending, third.as_str()).await;
    pass(&it, &mut merger).await;
    let both = it
        .merge_commit(&[&first, &second], &text(&first, "1 2").await)
        .await;
    let (_, resolve_merge) = enqueue(&it, resolve.id, pending, both.as_str()).await;
    pass(&it, &mut merger).await;
    let again = resolution(&it, &resolve_merge).await;
    let all = it
        .merge_commit(&[&third, &both], &text(&third, "1 2 3").await)
        .await;
    // Its checks are those of every side.
    let checks = receipts::of_task(&it.build_part(), &again, &all)
        .await
        .unwrap();
    assert_eq!(checks.iter().map(|c| c.id).collect::<Vec<_>>(), proofs);
    enqueue(&it, again.id, pending, all.as_str()).await;
    pass(&it, &mut merger).await;
    let merges = merges::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    assert_eq!(merges.len(), 5);
    for merge in merges {
        assert_eq!(merge.state, MergeState::Completed);
        let task = it.task_now(merge.task_id).await;
        assert_eq!(task.integration_state, IntegrationState::Merged);
    }
    assert_eq!(it.branch_head(&it.spec.integration_branch).await, Some(all));
}

#[tokio::test]
async fn what_waits_behind_a_stuck_resolution_is_blocked_and_freed() {
    let it = TestDeployment::new().await;
    let mut merger = Merger::from_parts(&it.deployment);
    let (one, two) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let waiting = it.add_task(3, &[two.id]).await;
    let (first, second) = (
        it.commit_on(&it.base, "f", Some("1")).await,
        it.commit_on(&it.base, "f", Some("2")).await,
    );
    enqueue(&it, one.id, MergeState::Pending, first.as_str()).await;
    pass(&it, &mut merger).await;
    let (_, merge) = enqueue(&it, two.id, MergeState::Pending, second.as_str()).await;
    pass(&it, &mut merger).await;
    let resolve = resolution(&it, &merge).await;
    // The resolution's own merge cannot be made at all.
    let nowhere = "f".repeat(40);
    enqueue(&it, resolve.id, MergeState::Pending, &nowhere).await;
    for _ in 0..RESTARTS_MAX + 4 {
        pass(&it, &mut merger).await;
    }
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    let mut finisher = Finisher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut finisher, it.clock.now()).await;
    let spec = specs::get(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    assert_eq!(spec.status, SpecStatus::Blocked);
    it.commit(async |tx| {
        let mut task = tasks::get(tx, resolve.id).await?;
        omoi_execution::tasks::retry_by_person(tx, &mut task).await
    })
    .await
    .unwrap();
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
}

#[tokio::test]
async fn a_resolution_without_the_other_side_lands_alone() {
    let it = TestDeployment::new().await;
    let mut merger = Merger::from_parts(&it.deployment);
    let (one, two) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let (first, second) = (
        it.commit_on(&it.base, "f", Some("1")).await,
        it.commit_on(&it.base, "f", Some("2")).await,
    );
    enqueue(&it, one.id, MergeState::Pending, first.as_str()).await;
    pass(&it, &mut merger).await;
    let (_, merge) = enqueue(&it, two.id, MergeState::Pending, second.as_str()).await;
    pass(&it, &mut merger).await;
    let resolve = resolution(&it, &merge).await;
    let alone = it.commit_on(&first, "g", Some("1")).await;
    enqueue(&it, resolve.id, MergeState::Pending, alone.as_str()).await;
    pass(&it, &mut merger).await;
    let merge = merge_now(&it, &merge).await;
    assert_eq!((merge.state, merge.restarts), (MergeState::Pending, 1));
    let source = it.task_now(two.id).await;
    assert_eq!(source.integration_state, IntegrationState::Queued);
}

/// A completed task whose one change adds `path`, in the queue; its check runs `command`.
async fn adding(it: &TestDeployment, number: i64, path: &str, command: &str) -> (Task, Merge) {
    let head = it.commit_on(&it.base, path, Some("new\n")).await;
    let task = it.add_task(number, &[]).await;
    let prepared = it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.base_sha = Some(it.base.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let check = Check {
            command: command.to_owned(),
            ..task_check(tx, &task)
        };
        checks::insert(tx, &check, &[]).await
    });
    prepared.await.unwrap();
    enqueue(it, task.id, MergeState::Pending, head.as_str()).await
}

#[tokio::test]
async fn a_red_merge_sends_its_task_back_onto_the_merged_tree() {
    let (it, _state) = with_sandbox().await;
    let mut merger = Merger::from_parts(&it.deployment);
    adding(&it, 1, "one", "true").await;
    pass(&it, &mut merger).await;
    let landed = it.branch_head(&it.spec.integration_branch).await.unwrap();
    // Green on its own branch, where there is no `one`.
    let (task, merge) = adding(&it, 2, "two", "test ! -e one").await;
    pass(&it, &mut merger).await;
    let merge = merge_now(&it, &merge).await;
    assert_eq!(merge.state, MergeState::Failed);
    let head = it.branch_head(&it.spec.integration_branch).await;
    assert_eq!(head.as_ref(), Some(&landed), "what is red never lands");
    let task = it.task_now(task.id).await;
    let seen = (task.status, task.round, task.integration_state);
    assert_eq!(seen, (TaskStatus::Pending, 1, IntegrationState::None));
    let revision = task.revision.unwrap();
    assert!(revision.0.feedback.starts_with("merge_red"), "{revision:?}");
    // The next round sees what it was refused for, and only its own work counts as its own.
    assert_eq!(task.base_sha.as_deref(), Some(landed.as_str()));
    let merged = it.branch_head(&task.branch).await.unwrap();
    assert_eq!(merge.merged_sha.as_deref(), Some(merged.as_str()));
}

#[tokio::test]
async fn a_branch_that_moved_meanwhile_is_merged_with_anew() {
    let (it, _state) = with_sandbox().await;
    let mut merger = Merger::from_parts(&it.deployment);
    adding(&it, 1, "one", "true").await;
    pass(&it, &mut merger).await;
    let before = it.branch_head(&it.spec.integration_branch).await.unwrap();
    let moved = it.commit_on(&before, "meanwhile", Some("new\n")).await;
    // The check itself stands for whoever moves the branch while checks run.
    let mirror = it.project_mirror().await;
    let (mirror, branch) = (mirror.dir().display(), &it.spec.integration_branch);
    let refs = format!("refs/heads/{branch} {moved} {before}");
    let command = format!("test -e meanwhile || git --git-dir={mirror} update-ref {refs}");
    let (task, merge) = adding(&it, 2, "two", &command).await;
    pass(&it, &mut merger).await;
    let now = merge_now(&it, &merge).await;
    assert_eq!((now.state, now.restarts), (MergeState::Pending, 1));
    assert_eq!(it.branch_head(branch).await, Some(moved.clone()));
    pass(&it, &mut merger).await;
    assert_eq!(merge_now(&it, &merge).await.state, MergeState::Completed);
    let task = it.task_now(task.id).await;
    assert_eq!(task.integration_state, IntegrationState::Merged);
    let mirror = it.project_mirror().await;
    let head = it.branch_head(branch).await.unwrap();
    assert!(mirror.is_ancestor(&moved, &head).await.unwrap());
}

#[tokio::test]
async fn entries_have_their_turn_by_level_and_place_in_the_plan() {
    let it = TestDeployment::new().await;
    let mut merger = Merger::from_parts(&it.deployment);
    // Level, place in the plan, and what comes first; the third is not queued, and nobody waits for it.
    let places = [(1, 1), (0, 4), (0, 2), (0, 3)];
    let mut all = Vec::new();
    for (n, (level, ordinal)) in (1..).zip(places) {
        let task = it.add_task(n, &[]).await;
        let placed = it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            (task.level, task.ordinal) = (level, ordinal);
            tasks::save(tx, &mut task).await
        });
        placed.await.unwrap();
        all.push(task);
    }
    let behind = it.add_task(5, &[all[2].id]).await;
    let mut merges = Vec::new();
    for task in [&all[0], &behind, &all[1], &all[3]] {
        let head = it.commit_on(&it.base, &task.local_id, Some("new\n")).await;
        merges.push(
            enqueue(&it, task.id, MergeState::Pending, head.as_str())
                .await
                .1,
        );
    }
    let landed = async || {
        let mut landed = Vec::new();
        for merge in &merges {
            landed.push(merge_now(&it, merge).await.state == MergeState::Completed);
        }
        landed
    };
    pass(&it, &mut merger).await;
    assert_eq!(landed().await, [false, false, false, true]);
    pass(&it, &mut merger).await;
    assert_eq!(landed().await, [false, false, true, true]);
    pass(&it, &mut merger).await;
    assert_eq!(landed().await, [true, false, true, true]);
    // The last waits for what it builds upon.
    pass(&it, &mut merger).await;
    assert_eq!(landed().await, [true, false, true, true]);
    let head = it
        .commit_on(&it.base, &all[2].local_id, Some("new\n"))
        .await;
    enqueue(&it, all[2].id, MergeState::Pending, head.as_str()).await;
    pass(&it, &mut merger).await;
    pass(&it, &mut merger).await;
    assert_eq!(landed().await, [true; 4]);
}

#[tokio::test]
async fn a_spec_that_cannot_be_merged_keeps_no_other_from_its_turn() {
    let mut it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let (_, broken) = queued(&it, MergeState::Pending, &"f".repeat(40)).await;
    blocked_by_an_attempt(
        &it,
        AttemptSubject::Merge {
            merge_id: broken.id,
        },
    )
    .await;
    let label = it.spec.label();
    it.next_spec(2).await;
    let task = it.add_task(2, &[]).await;
    let (_, good) = enqueue(&it, task.id, MergeState::Pending, &"e".repeat(40)).await;
    let mut merger = Merger::from_parts(&it.deployment);
    let (_, failures) = deployment::tick_with_failures(&mut merger, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    let failed: Vec<_> = failures.iter().map(|f| f.entity.as_str()).collect();
    assert_eq!(failed, [label.as_str()]);
    assert!(failures[0].error.contains("already exists"), "{failures:?}");
    assert_eq!(merge_now(&it, &broken).await.state, MergeState::Pending);
    let subject = AttemptSubject::Merge { merge_id: good.id };
    let tries = attempts::of_subject(&mut it.read_tx().await, it.spec.id, subject).await;
    assert_eq!(tries.unwrap().len(), 1);
}

#[tokio::test]
async fn a_program_that_another_task_renamed_is_a_round_of_the_agent() {
    let (it, _state) = with_sandbox().await;
    let (first, other) = (it.add_task(2, &[]).await, it.add_task(3, &[]).await);
    let with_todo = land(&it, &first, "bin/todo", TODO).await;
    let head = it.commit_on(&with_todo, "new", Some("new\n")).await;
    let (task, merge) = queued(&it, MergeState::Pending, head.as_str()).await;
    let check = it.commit(async |tx| {
        let check = Check {
            command: TODO_CHECK.to_owned(),
            ..task_check(tx, &task)
        };
        checks::insert(tx, &check, &[]).await?;
        Ok(check)
    });
    passes_alone(&it, (&task, &check.await.unwrap()), &head).await;
    let renamed = renamed(&it, &with_todo).await;
    landed_by(&it, &other, &renamed, &renamed).await;
    pass(&it, &mut Merger::from_parts(&it.deployment)).await;
    let merge = merge_now(&it, &merge).await;
    let task = it.task_now(task.id).await;
    assert_eq!((merge.state, task.round), (MergeState::Failed, 1));
    let feedback = task.revision.unwrap().0.feedback;
    assert_eq!(missing_part(&feedback).unwrap().name(), "todo");
}
