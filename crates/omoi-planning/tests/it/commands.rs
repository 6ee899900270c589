//! What people ask of a spec, and what follows.

use serde_json::json;

use omoi_domain::attempt::{
    AgentRole, AttemptOutcome, AttemptState, AttemptStopReason, AttemptSubject,
};
use omoi_domain::block::TaskBlock;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::{NewAttempt, insert_attempt};
use omoi_execution::commands::cancel_task;
use omoi_execution::intake::IntakeError;
use omoi_execution::spec_selection::SpecSelection;
use omoi_planning::commands::{self, SpecCommandError};
use omoi_planning::plan_gate::PlanGate;
use omoi_protocol::api::ResumeSpec;
use omoi_runtime::reconcile::Next;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{Tx, attempts, phases, specs};
use omoi_testkit::deployment::{ended_report, failed_report};
use omoi_testkit::sample_rows::merge;

use crate::desk::{Desk, work_model};
use crate::spec_versions::considerations;

impl Desk {
    async fn resume(&mut self) -> SpecStatus {
        let spec = commands::resume_spec(
            &self.it.build_part(),
            &self.it.deployment.store,
            self.spec.id,
            ResumeSpec::default(),
        )
        .await;
        self.it.advance_clock(60);
        spec.unwrap().status
    }

    async fn status(&self, status: SpecStatus) {
        self.it
            .commit(async |tx| {
                let mut spec = specs::get(tx, self.spec.id).await?;
                spec.status = status;
                specs::save(tx, &mut spec).await
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn only_a_whole_plan_is_released() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    for status in [
        SpecStatus::Draft,
        SpecStatus::Executing,
        SpecStatus::Failed,
        SpecStatus::Blocked,
        SpecStatus::Completed,
        SpecStatus::Delivered,
        SpecStatus::Cancelled,
    ] {
        desk.status(status).await;
        match commands::approve_spec(
            &desk.it.build_part(),
            &desk.it.deployment.store,
            desk.spec.id,
        )
        .await
        {
            Err(SpecCommandError::NotPlanned { .. }) => {}
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(desk.spec_now().await.status, status);
    }
    // What is not planned goes back to planning, whatever else the row says.
    for status in [
        SpecStatus::Failed,
        SpecStatus::Blocked,
        SpecStatus::Completed,
    ] {
        desk.status(status).await;
        desk.it
            .commit(async |tx| {
                let mut spec = specs::get(tx, desk.spec.id).await?;
                spec.current_phase = Phase::Complete;
                specs::save(tx, &mut spec).await
            })
            .await
            .unwrap();
        assert_eq!(desk.resume().await, SpecStatus::Executing, "{status}");
    }
}

#[tokio::test]
async fn a_task_is_not_retried_under_half_a_plan() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let id = all.unwrap()[0].id;
    let fail = async |current: Phase| {
        let changed = desk.it.commit(async |tx| {
            let mut task = tasks::get(tx, id).await?;
            task.status = TaskStatus::Failed;
            tasks::save(tx, &mut task).await?;
            let mut spec = specs::get(tx, desk.spec.id).await?;
            spec.status = SpecStatus::Failed;
            spec.current_phase = current;
            specs::save(tx, &mut spec).await
        });
        changed.await.unwrap();
        let deployment = &desk.it.deployment;
        let retried = commands::retry_task(&desk.it.build_part(), &deployment.store, id).await;
        (retried, desk.spec_now().await.status)
    };
    let (retried, status) = fail(Phase::Tasks).await;
    assert!(matches!(retried, Err(SpecCommandError::NotPlanned { .. })));
    assert_eq!(status, SpecStatus::Failed);
    let (retried, status) = fail(Phase::Complete).await;
    retried.unwrap();
    assert_eq!(status, SpecStatus::Working);
}

#[tokio::test]
async fn a_task_is_not_retried_before_what_it_waits_for() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let edges = tasks::dependencies(&mut desk.it.read_tx().await, desk.spec.id).await;
    let (waiting, lost) = edges.unwrap()[0];
    let deployment = &desk.it.deployment;
    let lost = cancel_task(&deployment.store, lost).await.unwrap();
    match commands::retry_task(&desk.it.build_part(), &deployment.store, waiting).await {
        Err(refused @ SpecCommandError::Waits { .. }) => {
            let says = format!("waits for repo/TSK-{:03}, which is cancelled", lost.number);
            assert!(refused.to_string().contains(&says), "{refused}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.it.task_now(waiting).await.status, TaskStatus::Blocked);
}

#[tokio::test]
async fn resuming_a_failed_resolution_leaves_the_finished_work_alone() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let source = all.unwrap().swap_remove(0);
    let unresolved = desk.it.commit(async |tx| {
        let mut source = tasks::get(tx, source.id).await?;
        source.status = TaskStatus::Completed;
        source.integration_state = IntegrationState::Manual;
        source.head_sha = Some("a".repeat(40));
        tasks::save(tx, &mut source).await?;
        let merge = merge(tx, &source, MergeState::Manual, &"a".repeat(40));
        merges::insert(tx, &merge).await?;
        let resolve = Task {
            number: 900,
            local_id: "RES-001".to_owned(),
            status: TaskStatus::Failed,
            resolves_merge_id: Some(merge.id),
            ..source.fresh(tx)
        };
        tasks::insert(tx, &resolve).await?;
        let mut spec = specs::get(tx, desk.spec.id).await?;
        spec.status = SpecStatus::Failed;
        specs::save(tx, &mut spec).await?;
        Ok((merge, resolve))
    });
    let (merge, resolve) = unresolved.await.unwrap();
    assert_eq!(desk.resume().await, SpecStatus::Working);
    let source = desk.it.task_now(source.id).await;
    let seen = (source.status, source.integration_state);
    assert_eq!(seen, (TaskStatus::Completed, IntegrationState::Queued));
    let resolve = desk.it.task_now(resolve.id).await;
    assert_eq!(resolve.status, TaskStatus::Cancelled);
    let merge = merges::get(&mut desk.it.read_tx().await, merge.id).await;
    assert_eq!(merge.unwrap().state, MergeState::Pending);
}

/// An attempt at `task` that is over.
async fn ended_attempt(tx: &mut Tx, desk: &Desk, task: &Task, is_of_checks: bool) {
    let task_id = task.id;
    let subject = match is_of_checks {
        true => AttemptSubject::TaskChecks { task_id },
        false => AttemptSubject::Task { task_id },
    };
    let new = NewAttempt {
        project_id: task.project_id,
        spec_id: task.spec_id,
        subject,
        round: 0,
        role: AgentRole::Resolver,
        agent: Some(omoi_domain::agent_program::AgentProgram::Native),
        fence: 1,
        base_sha: None,
    };
    let mut attempt = insert_attempt(tx, &desk.it.build_part(), new)
        .await
        .unwrap()
        .attempt;
    let ended = attempts::transition(tx, &mut attempt, AttemptState::Failed).await;
    ended.unwrap();
}

#[tokio::test]
async fn a_resolution_that_waited_goes_on_with_what_it_waited_for() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let source = all.unwrap().swap_remove(0);
    let (machine, provider) = (TaskBlock::Environment, TaskBlock::Provider);
    let cases = [
        (machine, true, TaskStatus::PendingValidation),
        (machine, false, TaskStatus::Pending),
        (provider, false, TaskStatus::Pending),
    ];
    for (number, (block, at_checks, expected)) in (900..).zip(cases) {
        let blocked = desk.it.commit(async |tx| {
            let resolve = Task {
                number,
                local_id: format!("RES-{number}"),
                status: TaskStatus::Blocked,
                blocked_by: Some(block),
                blocked_reason: Some(block.kind().to_string()),
                head_sha: Some("b".repeat(40)),
                ..source.fresh(tx)
            };
            let merge = Merge {
                resolve_task_id: Some(resolve.id),
                ..merge(tx, &source, MergeState::Resolving, &"a".repeat(40))
            };
            tasks::insert(tx, &resolve).await?;
            merges::insert(tx, &merge).await?;
            let mut resolve = tasks::get(tx, resolve.id).await?;
            resolve.resolves_merge_id = Some(merge.id);
            tasks::save(tx, &mut resolve).await?;
            ended_attempt(tx, &desk, &resolve, false).await;
            if at_checks {
                ended_attempt(tx, &desk, &resolve, true).await;
            }
            let mut spec = specs::get(tx, desk.spec.id).await?;
            spec.status = SpecStatus::Blocked;
            specs::save(tx, &mut spec).await?;
            Ok((resolve, merge))
        });
        let (resolve, merge) = blocked.await.unwrap();
        assert_eq!(desk.resume().await, SpecStatus::Working);
        let resolve = desk.it.task_now(resolve.id).await;
        let seen = (resolve.status, resolve.blocked_reason);
        assert_eq!(seen, (expected, None), "{block:?}");
        let merge = merges::get(&mut desk.it.read_tx().await, merge.id).await;
        assert_eq!(merge.unwrap().state, MergeState::Resolving, "{block:?}");
    }
}

#[tokio::test]
async fn a_simulated_run_stays_simulated_and_a_real_one_real() {
    for (begun, now, expected) in [
        ("simulated", "simulated", Ok("simulated")),
        ("simulated", "a-model", Err(())),
        ("a-model", "simulated", Err(())),
        ("a-model", "another-model", Ok("another-model")),
        ("none", "simulated", Ok("simulated")),
        ("a-model", "none", Ok("a-model")),
    ] {
        let desk = Desk::with(false, |parts| parts.model = work_model(now)).await;
        desk.it
            .commit(async |tx| {
                let mut spec = specs::get(tx, desk.spec.id).await?;
                spec.set_work_model(&work_model(begun));
                spec.status = SpecStatus::Failed;
                specs::save(tx, &mut spec).await
            })
            .await
            .unwrap();
        let resumed = commands::resume_spec(
            &desk.it.build_part(),
            &desk.it.deployment.store,
            desk.spec.id,
            ResumeSpec::default(),
        )
        .await;
        let after = desk.spec_now().await;
        match expected {
            Ok(model) => {
                assert_eq!(after.model, model, "{begun} {now}");
                assert_eq!(resumed.unwrap().status, SpecStatus::Executing);
            }
            Err(()) => {
                let refused = resumed.unwrap_err();
                assert!(matches!(refused, SpecCommandError::OtherModel { .. }));
                assert!(refused.next_step().unwrap().contains("omoi spec resume"));
                assert_eq!(
                    (after.model.as_str(), after.status),
                    (begun, SpecStatus::Failed)
                );
            }
        }
    }
}

#[tokio::test]
async fn resuming_plans_only_what_an_edit_made_stale() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    assert_eq!(desk.counted().await, [1; 6]);

    // Nothing changed: nothing is asked of a model.
    assert_eq!(desk.resume().await, SpecStatus::Completed);
    assert_eq!(desk.tick().await, Next::Idle);
    assert_eq!(desk.counted().await, [1; 6]);

    let edit = |value| considerations(value, None);
    let store = desk.it.deployment.store.clone();
    let gate: PlanGate = desk.it.build_part();
    let selection: SpecSelection = desk.it.build_part();
    let refused = commands::edit_items(&gate, &store, desk.spec.id, &edit(json!(7))).await;
    assert!(matches!(refused, Err(SpecCommandError::InvalidEdit(_))));
    let value = json!(["Tags are shown as text only, never run as a shell command."]);
    commands::edit_items(&gate, &store, desk.spec.id, &edit(value.clone()))
        .await
        .unwrap();
    let approved = commands::approve_spec(&selection, &store, desk.spec.id).await;
    assert!(matches!(approved, Err(SpecCommandError::NotPlanned { .. })));
    assert_eq!(desk.resume().await, SpecStatus::Executing);
    desk.plan_from(Phase::Tasks).await;
    assert_eq!(desk.counted().await, [1, 1, 1, 1, 2, 2]);
    let design = desk.run(Phase::Design).await.output.unwrap().0;
    assert_eq!(design["security_considerations"], value);
    let rows = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let n_tasks = desk.plan.phase_output(Phase::Tasks)["tasks"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(rows.unwrap().len(), n_tasks, "no row is there twice");

    commands::retitle_spec(&store, desk.spec.id, "Labels for todos", None)
        .await
        .unwrap();
    assert_eq!(desk.resume().await, SpecStatus::Executing);
    desk.plan_from(Phase::Explore).await;
    assert_eq!(desk.counted().await, [2, 2, 2, 2, 3, 3]);

    commands::approve_spec(&selection, &store, desk.spec.id)
        .await
        .unwrap();
    let late = commands::retitle_spec(&store, desk.spec.id, "Too late", None).await;
    assert!(matches!(late, Err(SpecCommandError::AtWork { .. })));
}

#[tokio::test]
async fn what_an_attempt_made_under_an_old_title_is_dropped() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let (old, _) = desk.agent(Phase::Explore).await;
    desk.hand_in(&old, Phase::Explore).await;
    commands::retitle_spec(
        &desk.it.deployment.store,
        desk.spec.id,
        "Labels for todos",
        None,
    )
    .await
    .unwrap();
    desk.tick().await;
    let late = desk.submit(&old, ("project_type", ""), json!("Old news"));
    assert!(matches!(late.await, Err(IntakeError::Superseded)));
    desk.tick().await;
    let (_, told) = desk.agent(Phase::Explore).await;
    assert!(told.prompt.contains("Labels for todos"));
    assert!(!told.prompt.contains("Items accepted so far"));
    assert_eq!(told.resume, []);
    let items = phases::items(&mut desk.it.read_tx().await, desk.spec.id, Phase::Explore).await;
    assert_eq!(items.unwrap(), []);
}

#[tokio::test]
async fn a_conversation_under_an_old_title_is_not_gone_on_with() {
    for title in [None, Some("Labels for todos")] {
        let mut desk = Desk::new().await;
        desk.tick().await;
        let (old, _) = desk.agent(Phase::Explore).await;
        desk.answered(&old, 0).await;
        desk.end(
            &old,
            ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt),
        )
        .await;
        desk.it.advance_clock(1);
        if let Some(title) = title {
            commands::retitle_spec(&desk.it.deployment.store, desk.spec.id, title, None)
                .await
                .unwrap();
            desk.tick().await;
        }
        desk.tick().await;
        let (new, told) = desk.agent(Phase::Explore).await;
        assert_eq!(told.resume.len(), usize::from(title.is_none()));
        desk.answered(&new, told.resume.len() as u32).await;
    }
}

#[tokio::test]
async fn a_planner_leaves_alone_what_another_kind_of_model_began() {
    let mut desk = Desk::with(false, |parts| parts.model = work_model("a-model")).await;
    desk.tick().await;
    assert_eq!(desk.spec_now().await.model, "simulated");
    assert_eq!(desk.attempts(Phase::Explore).await.len(), 0);
    let resumed = commands::resume_spec(
        &desk.it.build_part(),
        &desk.it.deployment.store,
        desk.spec.id,
        ResumeSpec::default(),
    )
    .await;
    assert!(matches!(resumed, Err(SpecCommandError::OtherModel { .. })));
}

#[tokio::test]
async fn a_refused_sync_names_the_next_step_and_gets_through_after_it() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let begun = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let begun = begun.unwrap().into_iter().find(|t| t.local_id == "TSK-001");
    desk.it.run_task(begun.unwrap().id).await;
    let value = json!(["Tags are shown as text only, never run as a shell command."]);
    let edit = considerations(value, None);
    commands::edit_items(
        &desk.it.build_part(),
        &desk.it.deployment.store,
        desk.spec.id,
        &edit,
    )
    .await
    .unwrap();
    desk.resume().await;
    let title = desk.plan.phase_output(Phase::Tasks)["tasks"][0]["title"].clone();
    desk.bend(Phase::Tasks, |t| {
        t["tasks"][0]["title"] = json!("Something else");
    });
    desk.work_through(Phase::Tasks).await;
    desk.tick().await;
    let (attempt, _) = desk.agent(Phase::Sync).await;
    desk.hand_in(&attempt, Phase::Sync).await;
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
    let spec = desk.spec_now().await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    let reason = spec.last_error.unwrap();
    assert!(
        reason.contains("TSK-001") && reason.contains("omoi spec resume repo/SPEC-2"),
        "{reason}"
    );

    assert_eq!(desk.resume().await, SpecStatus::Executing);
    desk.tick().await;
    let (attempt, told) = desk.agent(Phase::Tasks).await;
    assert!(told.prompt.contains("work has begun on: TSK-001"));
    let mut task = desk.plan.phase_output(Phase::Tasks)["tasks"][0].clone();
    task["title"] = title;
    desk.submit(&attempt, ("tasks", "TSK-001"), task)
        .await
        .unwrap();
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
    desk.work_through(Phase::Sync).await;
    assert_eq!(desk.spec_now().await.status, SpecStatus::Completed);
}

#[tokio::test]
async fn a_failed_phase_begins_anew_when_resumed() {
    let mut desk = Desk::new().await;
    for _ in 0..3 {
        desk.tick().await;
        let (attempt, _) = desk.agent(Phase::Explore).await;
        desk.end(
            &attempt,
            failed_report(ErrorClass::AgentError, "it fell over"),
        )
        .await;
        desk.tick().await;
        desk.it.advance_clock(60);
    }
    assert_eq!(desk.spec_now().await.status, SpecStatus::Failed);
    assert_eq!(desk.resume().await, SpecStatus::Executing);
    desk.plan_from(Phase::Explore).await;
    assert_eq!(desk.counted().await, [4, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_spec_that_waits_for_a_cancelled_task_says_what_a_person_can_do() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let all = all.unwrap();
    let deliver = async || {
        commands::deliver_spec(
            &desk.it.build_part(),
            &desk.it.deployment.store,
            desk.spec.id,
        )
        .await
    };
    let set = async |status: TaskStatus, landed: IntegrationState| {
        desk.it
            .commit(async |tx| {
                for task in &all {
                    let mut task = tasks::get(tx, task.id).await?;
                    task.status = status;
                    task.integration_state = landed;
                    tasks::save(tx, &mut task).await?;
                }
                Ok(())
            })
            .await
            .unwrap();
    };
    desk.status(SpecStatus::Blocked).await;
    let refused = deliver().await.unwrap_err();
    assert!(
        matches!(refused, SpecCommandError::StillOpen { .. }),
        "{refused}"
    );

    set(TaskStatus::Cancelled, IntegrationState::None).await;
    let refused = deliver().await.unwrap_err();
    assert!(
        matches!(refused, SpecCommandError::NothingLanded { .. }),
        "{refused}"
    );
    let resumed = commands::resume_spec(
        &desk.it.build_part(),
        &desk.it.deployment.store,
        desk.spec.id,
        ResumeSpec::default(),
    )
    .await;
    let refused = resumed.unwrap_err();
    assert!(
        matches!(refused, SpecCommandError::TaskCancelled { .. }),
        "{refused}"
    );
    let next = refused.next_step().unwrap();
    for command in ["omoi task retry repo/TSK-", "omoi spec deliver repo/SPEC-"] {
        assert!(next.contains(command), "{next}");
    }
    assert_eq!(desk.spec_now().await.status, SpecStatus::Blocked);

    set(TaskStatus::Completed, IntegrationState::Merged).await;
    let spec = deliver().await.unwrap();
    assert_eq!(spec.status, SpecStatus::Working);
    assert!(spec.options.0.as_it_stands);
    // Whoever goes on with the plan wants all of it again.
    desk.status(SpecStatus::Failed).await;
    desk.resume().await;
    assert!(!desk.spec_now().await.options.0.as_it_stands);
}
