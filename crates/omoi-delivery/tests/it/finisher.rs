//! The last proof: what counts against it, what it reuses, whom it sends back.

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::Merger;
use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::check::CheckStage;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::SpecStatus;
use omoi_domain::suite::fault::missing_part;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::intake::complete_attempt;
use omoi_execution::tasks::{cancel, keeper_of};
use omoi_runtime::clock::Clock as _;
use omoi_store::checks;
use omoi_store::merges::Merge;
use omoi_store::specs;
use omoi_store::tasks;
use omoi_store::{attempts, merges};
use omoi_testkit::deployment::{self, TestDeployment};
use omoi_testkit::sample_rows;
use omoi_testkit::sqlite::refuse_updates;

use crate::landed_work::{
    criterion, land, landed, landed_by, pass, resume, spec_now, suite, tried, tried_again,
};
use crate::queued_work::{TODO, TODO_CHECK, passes_alone, queued, renamed};
use crate::{settle, with_sandbox};

#[tokio::test]
async fn only_proofs_that_failed_since_the_work_began_count() {
    // There is no sandbox here, so every proof fails.
    let it = TestDeployment::new().await;
    landed(&it, 1, "true").await;
    for _ in 0..5 {
        tried(&it, AttemptState::Lost).await;
    }
    for round in 0..2 {
        for _ in 0..3 {
            pass(&it).await;
            assert_eq!(spec_now(&it).await.status, SpecStatus::Working, "{round}");
        }
        pass(&it).await;
        let spec = spec_now(&it).await;
        assert_eq!(spec.status, SpecStatus::Failed);
        let why = spec.last_error.unwrap();
        assert!(why.starts_with("the last checks could not be run"), "{why}");
        it.advance_clock(1);
        resume(&it).await;
    }
}

#[tokio::test]
async fn a_failed_hand_over_names_the_repository_and_the_next_step() {
    let (it, _state) = with_sandbox().await;
    landed(&it, 1, "true").await;
    // The project's repository does not exist.
    for _ in 0..4 {
        pass(&it).await;
    }
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Failed);
    let why = spec.last_error.unwrap();
    assert!(
        why.starts_with("the branch could not be handed over to `/repo`: "),
        "{why}"
    );
    assert!(why.ends_with("run `omoi spec resume repo/SPEC-1`"), "{why}");
}

#[tokio::test]
async fn a_resumed_spec_is_proven_anew() {
    let (it, state) = with_sandbox().await;
    let mended = state.path().join("mended");
    landed(&it, 1, "true").await;
    let suite = suite(&it, &format!("test -e '{}'", mended.display())).await;
    pass(&it).await;
    assert_eq!(spec_now(&it).await.status, SpecStatus::Failed);
    std::fs::File::create(&mended).unwrap();
    it.advance_clock(1);
    resume(&it).await;
    pass(&it).await;
    let all = checks::receipts_of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    let of_suite = all.iter().filter(|r| r.check_id == suite.id);
    assert_eq!(
        of_suite.map(|r| r.passed).collect::<Vec<_>>(),
        [false, true]
    );
    // What passed was not run again.
    assert_eq!(
        all.iter().filter(|r| r.stage == CheckStage::Head).count(),
        3
    );
}

#[tokio::test]
async fn a_spec_without_criteria_proves_nothing() {
    let (it, _state) = with_sandbox().await;
    suite(&it, "true").await;
    pass(&it).await;
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Failed);
    assert!(spec.last_error.unwrap().contains("no acceptance criterion"));
}

#[tokio::test]
async fn a_red_check_at_the_head_sends_its_task_back_within_its_rounds() {
    let (it, _state) = with_sandbox().await;
    let (task, _) = landed(&it, 1, "echo not yet; false").await;
    let (fine, _) = landed(&it, 2, "true").await;
    pass(&it).await;
    assert_eq!(spec_now(&it).await.status, SpecStatus::Working);
    let sent = it.task_now(task.id).await;
    assert_eq!((sent.status, sent.round), (TaskStatus::Pending, 1));
    assert_eq!(sent.integration_state, IntegrationState::None);
    assert!(sent.revision.unwrap().0.feedback.contains("not yet"));
    assert_eq!(it.task_now(fine.id).await.status, TaskStatus::Completed);
    // Its last round is spent: the spec says so.
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        task.round = 2;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    pass(&it).await;
    assert_eq!(it.task_now(task.id).await.status, TaskStatus::Failed);
    pass(&it).await;
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Failed);
    assert!(spec.last_error.unwrap().contains("TSK-001 failed"));
}

#[tokio::test]
async fn optional_work_that_cannot_be_merged_stops_nothing() {
    for needed in [false, true] {
        let it = TestDeployment::new().await;
        landed(&it, 2, "true").await;
        let (task, _) = queued(&it, MergeState::Manual, &"f".repeat(40)).await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.needed = needed;
            task.integration_state = IntegrationState::Manual;
            tasks::save(tx, &mut task).await
        })
        .await
        .unwrap();
        pass(&it).await;
        let expected = match needed {
            true => SpecStatus::Blocked,
            false => SpecStatus::Working,
        };
        assert_eq!(spec_now(&it).await.status, expected);
        let proofs = attempts::of_subject(
            &mut it.read_tx().await,
            it.spec.id,
            AttemptSubject::HeadChecks,
        )
        .await;
        assert_eq!(proofs.unwrap().len(), usize::from(!needed), "{needed}");
    }
}

#[tokio::test]
async fn what_stands_is_handed_over_only_when_a_person_says_so() {
    let (it, state) = with_sandbox().await;
    let mended = state.path().join("mended");
    landed(&it, 1, "true").await;
    let (left_out, _) = criterion(&it, 2, "true").await;
    suite(&it, &format!("test -e '{}'", mended.display())).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, left_out.id).await?;
        task.status = TaskStatus::Cancelled;
        task.integration_state = IntegrationState::None;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    pass(&it).await;
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    let why = spec.last_error.unwrap();
    for command in [
        "omoi task retry repo/TSK-002",
        "omoi spec deliver repo/SPEC-1",
    ] {
        assert!(why.contains(command), "{why}");
    }

    it.commit(async |tx| {
        let mut spec = specs::get(tx, it.spec.id).await?;
        spec.options.0.as_it_stands = true;
        specs::transition(tx, &mut spec, SpecStatus::Working, None).await
    })
    .await
    .unwrap();
    pass(&it).await;
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Failed, "its suite is red");
    let why = spec.last_error.unwrap();
    assert!(why.starts_with("what stands is not handed over: "), "{why}");

    std::fs::File::create(&mended).unwrap();
    it.advance_clock(1);
    resume(&it).await;
    pass(&it).await;
    // It comes as far as the project's repository, which does not exist here.
    let tried = attempts::of_subject(
        &mut it.read_tx().await,
        it.spec.id,
        AttemptSubject::HeadChecks,
    )
    .await;
    let why = tried.unwrap().pop().unwrap().error_message.unwrap();
    assert!(why.contains("could not be handed over to `/repo`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_asks_git_while_no_transaction_is_open() {
    let guarded = deployment::WatchedDeployment::new().await;
    guarded.watch_git();
    let trace = omoi_delivery::trace::of_spec(
        &guarded.it.deployment.store,
        &guarded.it.build_part(),
        guarded.it.spec.id,
    )
    .await;
    assert_eq!(trace.unwrap().spec_ref, "SPEC-1");
    assert!(guarded.finish_watch() > 0);
}

#[tokio::test]
async fn what_the_machine_lacks_at_the_head_is_no_round_of_any_agent() {
    for (declared, status, round) in [
        ("iniconfig>=2\n", SpecStatus::Blocked, 0),
        ("other\n", SpecStatus::Working, 1),
    ] {
        let (it, folder) = with_sandbox().await;
        let installed = folder.path().join("installed");
        let command = crate::needs_package(&installed);
        let (task, _) = criterion(&it, 1, &command).await;
        land(&it, &task, "requirements.txt", declared).await;
        pass(&it).await;
        let (spec, task) = (spec_now(&it).await, it.task_now(task.id).await);
        assert_eq!((spec.status, task.round), (status, round), "{declared}");
        if status == SpecStatus::Blocked {
            let reason = spec.last_error.unwrap();
            assert!(reason.starts_with("environment_fault: "), "{reason}");
            assert!(reason.contains("`iniconfig`"), "{reason}");
            assert_eq!(task.status, TaskStatus::Completed);
        }
    }
}

#[tokio::test]
async fn a_program_renamed_by_what_landed_later_is_a_round_of_the_agent() {
    let (it, _state) = with_sandbox().await;
    let (task, check) = criterion(&it, 1, TODO_CHECK).await;
    let (other, _) = criterion(&it, 2, "true").await;
    let alone = land(&it, &task, "bin/todo", TODO).await;
    passes_alone(&it, (&task, &check), &alone).await;
    let renamed = renamed(&it, &alone).await;
    landed_by(&it, &other, &renamed, &renamed).await;
    pass(&it).await;
    let (spec, task) = (spec_now(&it).await, it.task_now(task.id).await);
    assert_eq!((spec.status, task.round), (SpecStatus::Working, 1));
    let feedback = task.revision.unwrap().0.feedback;
    assert_eq!(missing_part(&feedback).unwrap().name(), "todo");
}

#[tokio::test]
async fn a_resolution_that_waits_for_its_provider_blocks_the_spec() {
    let it = TestDeployment::new().await;
    let (source, resolve) = (it.add_task(1, &[]).await, it.add_task(3, &[]).await);
    let waiting = it.add_task(2, &[source.id]).await;
    let merge = it.commit(async |tx| {
        let merge = Merge {
            resolve_task_id: Some(resolve.id),
            ..sample_rows::merge(tx, &source, MergeState::Resolving, &"f".repeat(40))
        };
        merges::insert(tx, &merge).await?;
        let mut source = tasks::get(tx, source.id).await?;
        source.status = TaskStatus::Completed;
        source.integration_state = IntegrationState::Merging;
        tasks::save(tx, &mut source).await?;
        let mut resolve = tasks::get(tx, resolve.id).await?;
        resolve.resolves_merge_id = Some(merge.id);
        tasks::save(tx, &mut resolve).await?;
        Ok(merge)
    });
    let merge = merge.await.unwrap();
    let blocks = async || {
        let created = it.run_task(resolve.id).await;
        let body = deployment::failed_report(ErrorClass::AuthFailed, "no such key");
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        deployment::tick_once(&mut Merger::from_parts(&it.deployment), it.clock.now()).await;
        pass(&it).await;
        let spec = spec_now(&it).await;
        assert_eq!(spec.status, SpecStatus::Blocked);
        let why = spec.last_error.unwrap();
        let expected = "TSK-003 is blocked: provider_unavailable (auth_failed): ";
        assert!(why.starts_with(expected), "{why}");
        assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    };
    blocks().await;
    // What waits for the conflicting work waits for its resolution.
    let lost = keeper_of(&mut it.read_tx().await, &waiting).await;
    assert_eq!(lost.unwrap().map(|task| task.id), Some(resolve.id));

    // A person resumes: the resolution goes on, and what waits for it is free.
    tried_again(&it, &resolve).await;
    resume(&it).await;
    pass(&it).await;
    assert_eq!(spec_now(&it).await.status, SpecStatus::Working);
    for task in [&resolve, &waiting] {
        assert_eq!(it.task_now(task.id).await.status, TaskStatus::Pending);
    }

    // Blocked again, called off and tried again, its conflict is merged anew.
    blocks().await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, resolve.id).await?;
        cancel(tx, &mut task, "no longer wanted").await
    })
    .await
    .unwrap();
    tried_again(&it, &resolve).await;
    let merge = merges::get(&mut it.read_tx().await, merge.id)
        .await
        .unwrap();
    assert_eq!(merge.state, MergeState::Pending);
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
}

#[tokio::test]
async fn a_spec_that_cannot_be_finished_keeps_no_other_from_its_turn() {
    let (mut it, _state) = with_sandbox().await;
    let (broken, label) = (it.spec.id, it.spec.label());
    let task = it.add_task(1, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Failed;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    refuse_updates(it.database_url(), "specs", "old.number = 1").await;
    // One is ready for its proof, the other is over like the broken one.
    it.next_spec(2).await;
    landed(&it, 2, "false").await;
    let ready = it.spec.id;
    it.next_spec(3).await;
    let lost = it.add_task(3, &[]).await;
    it.commit(async |tx| {
        let mut lost = tasks::get(tx, lost.id).await?;
        lost.status = TaskStatus::Failed;
        tasks::save(tx, &mut lost).await
    })
    .await
    .unwrap();
    let mut finisher = Finisher::from_parts(&it.deployment);
    let (_, failures) = deployment::tick_with_failures(&mut finisher, it.clock.now()).await;
    settle(&it).await;
    let failed: Vec<_> = failures.iter().map(|f| f.entity.as_str()).collect();
    assert_eq!(failed, [label.as_str()]);
    assert!(failures[0].error.contains("injected"), "{failures:?}");
    let mut tx = it.read_tx().await;
    let stands = specs::get(&mut tx, broken).await.unwrap();
    assert_eq!(stands.status, SpecStatus::Working);
    let proofs = attempts::of_subject(&mut tx, ready, AttemptSubject::HeadChecks).await;
    assert_eq!(proofs.unwrap().len(), 1);
    let over = specs::get(&mut tx, it.spec.id).await.unwrap();
    assert_eq!(over.status, SpecStatus::Failed);
}
