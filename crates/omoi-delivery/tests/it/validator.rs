//! Checks that cannot be run at all.

use omoi_delivery::validator::Validator;
use omoi_domain::attempt::Subject;
use omoi_domain::task::TaskStatus;
use omoi_runtime::clock::Clock as _;
use omoi_store::checks::{self, Check};
use omoi_store::{Json, tasks};

use crate::support::TestPlatform;
use crate::with_slots;

#[tokio::test]
async fn a_task_whose_checks_cannot_run_fails_and_says_why() {
    // There is no sandbox here.
    let it = TestPlatform::new().await;
    let task = it.task(1, &[]).await;
    let waiting = it.task(2, &[task.id]).await;
    let head = it.work("src/new.txt").await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::PendingValidation;
        task.head_sha = Some(head.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let check = Check {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: task.spec_id,
            task_id: Some(task.id),
            ordinal: 1,
            kind: "proof".to_owned(),
            command: "true".to_owned(),
            files: Json(std::collections::BTreeMap::new()),
            timeout_s: 60,
            base_exit: Some(1),
        };
        checks::insert(tx, &check, &[]).await
    })
    .await
    .unwrap();
    let mut validator = Validator::new(it.platform.clone());
    for _ in 0..8 {
        crate::support::tick(&mut validator, it.clock.now()).await;
        while !it.platform.running.ids().is_empty() {
            tokio::task::yield_now().await;
        }
    }
    let task = it.task_now(task.id).await;
    assert_eq!(task.status, TaskStatus::Failed);
    let why = task.error_message.unwrap();
    assert!(why.starts_with("checks could not be run"), "{why}");
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    assert_eq!(it.slots().await, 0);
    // Put back by a person it has all its tries again.
    it.advance(1);
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        omoi_execution::tasks::retry(tx, &mut task).await?;
        task.status = TaskStatus::PendingValidation;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    for _ in 0..3 {
        crate::support::tick(&mut validator, it.clock.now()).await;
        it.platform.running.drained().await;
    }
    let status = it.task_now(task.id).await.status;
    assert_eq!(
        status,
        TaskStatus::Validating,
        "its third try is not its last"
    );
}

#[tokio::test]
async fn checks_wait_for_a_slot_like_all_work() {
    let (it, _state) = with_slots(2).await;
    let mut ready = Vec::new();
    for number in 1..=4 {
        let task = it.task(number, &[]).await;
        let head = it.work("src/new.txt").await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.status = TaskStatus::PendingValidation;
            task.head_sha = Some(head.as_str().to_owned());
            tasks::save(tx, &mut task).await?;
            let check = crate::finisher::check(tx, &task);
            checks::insert(tx, &check, &[]).await
        })
        .await
        .unwrap();
        ready.push(task.id);
    }
    // One slot is an agent's.
    let busy = it.task(5, &[]).await;
    it.run(busy.id).await;
    let mut validator = Validator::new(it.platform.clone());
    for done in 1..=4 {
        crate::support::tick(&mut validator, it.clock.now()).await;
        assert!(it.slots().await <= 2);
        it.platform.running.drained().await;
        let mut completed = 0;
        for id in &ready {
            let status = it.task_now(*id).await.status;
            completed += u32::from(status == TaskStatus::Completed);
        }
        assert_eq!(completed, done);
    }
}

#[tokio::test]
async fn a_proposed_check_that_passes_without_the_work_proves_nothing() {
    for (command, with_suite, status, commands) in [
        (
            "test -e src/new.txt",
            true,
            TaskStatus::Completed,
            vec!["test -e src/new.txt", "echo suite"],
        ),
        (
            "true",
            true,
            TaskStatus::Completed,
            vec!["true", "echo suite"],
        ),
        ("true", false, TaskStatus::Failed, vec!["true"]),
    ] {
        let (it, _state) = with_slots(5).await;
        let source = it.task(1, &[]).await;
        let head = it.work("src/new.txt").await;
        let found = it
            .commit(async |tx| {
                let mut task = crate::support::task(tx, &it.ticket, 2);
                task.parent_task_id = Some(source.id);
                task.status = TaskStatus::PendingValidation;
                task.base_sha = Some(it.base.as_str().to_owned());
                task.head_sha = Some(head.as_str().to_owned());
                tasks::insert(tx, &task).await?;
                let own = Check {
                    command: command.to_owned(),
                    base_exit: None,
                    ..crate::finisher::check(tx, &task)
                };
                checks::insert(tx, &own, &[]).await?;
                if with_suite {
                    let suite = Check {
                        id: tx.new_id(),
                        task_id: None,
                        kind: "suite".to_owned(),
                        command: "echo suite".to_owned(),
                        ordinal: 10,
                        ..own
                    };
                    checks::insert(tx, &suite, &[]).await?;
                }
                Ok(task)
            })
            .await
            .unwrap();
        let mut validator = Validator::new(it.platform.clone());
        crate::support::tick(&mut validator, it.clock.now()).await;
        it.platform.running.drained().await;
        let task = it.task_now(found.id).await;
        assert_eq!(task.status, status, "{command} {with_suite}");
        if status == TaskStatus::Failed {
            let why = task.error_message.unwrap();
            assert!(why.starts_with("check_proves_nothing"), "{why}");
        }
        let mut tx = it.read().await;
        let all = checks::of_spec(&mut tx, it.spec.id).await.unwrap();
        let receipts = checks::receipts_of_spec(&mut tx, it.spec.id).await.unwrap();
        let mut run: Vec<_> = receipts
            .iter()
            .map(|r| {
                all.iter()
                    .find(|c| c.id == r.check_id)
                    .unwrap()
                    .command
                    .as_str()
            })
            .collect();
        run.sort_unstable_by_key(|command| command.starts_with("echo"));
        assert_eq!(run, commands);
        for receipt in receipts {
            assert!(!receipt.conditions.0.held.is_empty());
            let says = receipt.output.contains("check_proves_nothing");
            assert_eq!(says, receipt.stage == "base");
        }
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_checked_keeps_no_other_from_its_turn() {
    let it = TestPlatform::new().await;
    let (broken, good) = (it.task(1, &[]).await, it.task(2, &[]).await);
    let subject = broken.id.to_string();
    crate::merger::blocked_by_an_attempt(&it, Subject::Check, subject).await;
    for task in [&broken, &good] {
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.status = TaskStatus::PendingValidation;
            tasks::save(tx, &mut task).await
        })
        .await
        .unwrap();
    }
    let mut validator = Validator::new(it.platform.clone());
    let (_, failures) = crate::support::ticked(&mut validator, it.clock.now()).await;
    it.platform.running.drained().await;
    let failed: Vec<_> = failures.iter().map(|f| f.entity.as_str()).collect();
    assert_eq!(failed, [broken.label()]);
    let subject = good.id.to_string();
    let made = omoi_store::attempts::of_subject(&mut it.read().await, &subject).await;
    assert_eq!(made.unwrap().len(), 1);
}
