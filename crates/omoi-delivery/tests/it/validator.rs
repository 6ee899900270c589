//! Checks of tasks: when they run, what they prove, and those that cannot be run at all.

use omoi_delivery::validator::Validator;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::id::TaskId;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::object::ObjectId;
use omoi_runtime::clock::Clock as _;
use omoi_store::checks::{self, Check};
use omoi_store::tasks::Task;
use omoi_store::{Json, tasks};
use omoi_testkit::deployment::{KNOWN_SECRET, TestDeployment};
use omoi_testkit::raw_connection::RawConnection;
use omoi_testkit::sample_rows;

use crate::landed_work::task_check;
use crate::queued_work::blocked_by_an_attempt;
use crate::suite_on_base::judged;
use crate::with_slots;

#[tokio::test]
async fn a_task_whose_checks_cannot_run_fails_and_says_why() {
    // There is no sandbox here.
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let waiting = it.add_task(2, &[task.id]).await;
    let head = it.commit_work("src/new.txt").await;
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
            kind: CheckKind::Proof,
            command: "true".to_owned(),
            files: Json(std::collections::BTreeMap::new()),
            timeout_s: 60,
            base_exit: Some(1),
            is_deploy: false,
        };
        checks::insert(tx, &check, &[]).await
    })
    .await
    .unwrap();
    let mut validator = Validator::from_parts(&it.deployment);
    for _ in 0..8 {
        omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
        while !it.deployment.running.attempt_ids().is_empty() {
            tokio::task::yield_now().await;
        }
    }
    let task = it.task_now(task.id).await;
    assert_eq!(task.status, TaskStatus::Failed);
    let why = task.error_message.unwrap();
    assert!(why.starts_with("checks could not be run"), "{why}");
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Blocked);
    assert_eq!(it.slots_in_use().await, 0);
    // Put back by a person it has all its tries again.
    it.advance_clock(1);
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        omoi_execution::tasks::retry_by_person(tx, &mut task).await?;
        task.status = TaskStatus::PendingValidation;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    for _ in 0..3 {
        omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
        it.deployment.running.wait_drained().await;
    }
    let status = it.task_now(task.id).await.status;
    assert_eq!(
        status,
        TaskStatus::Validating,
        "its third try is not its last"
    );
}

/// Adds a task whose work is `head` and whose one check has to run.
async fn add_waiting_task(it: &TestDeployment, number: i64, head: &ObjectId) -> TaskId {
    let task = it.add_task(number, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::PendingValidation;
        task.head_sha = Some(head.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let check = task_check(tx, &task);
        checks::insert(tx, &check, &[]).await
    })
    .await
    .unwrap();
    task.id
}

/// Has the checks of `head`, the work of a new task, run.
async fn validate_head(it: &TestDeployment, number: i64, head: &ObjectId) -> Task {
    let task = add_waiting_task(it, number, head).await;
    let mut validator = Validator::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    it.task_now(task).await
}

#[tokio::test]
async fn a_task_that_changes_a_lock_file_is_named_in_the_trace() {
    let (it, _state) = crate::with_parts(|parts| {
        parts.setup.commands = vec!["none".to_owned()];
    })
    .await;
    let text = "a==1.0\nb==2.0\n";
    let locked = it.commit_on(&it.base, "requirements.txt", Some(text)).await;
    let other = it.commit_on(&it.base, "src/new.txt", Some("new\n")).await;
    for (number, head) in [(1, &locked), (2, &other)] {
        let task = validate_head(&it, number, head).await;
        assert_eq!(task.status, TaskStatus::Completed);
    }
    let folders = RepositoryFolders::from_parts(&it.deployment);
    let trace = omoi_delivery::trace::of_spec(&it.deployment.store, &folders, it.spec.id);
    let trace = trace.await.unwrap();
    let expected = ["TSK-001: added pypi:a@1.0, pypi:b@2.0"];
    assert_eq!(trace.dependencies_changed, expected);
}

#[tokio::test]
async fn a_task_whose_set_up_alters_an_unchanged_package_goes_back_with_its_name() {
    let (it, _state) = crate::with_parts(|parts| {
        parts.setup.commands = vec!["sh install.sh".to_owned()];
    })
    .await;
    let lock = |names: &[&str]| {
        let entries = names.iter().map(|name| {
            let url = format!("https://registry.npmjs.org/{name}/-/{name}-1.0.0.tgz");
            format!(r#""node_modules/{name}": {{"version": "1.0.0", "resolved": "{url}"}}"#)
        });
        let entries = entries.collect::<Vec<_>>().join(",");
        format!(r#"{{"lockfileVersion": 3, "packages": {{{entries}}}}}"#)
    };
    let installer = |word: &str| {
        format!(
            "mkdir -p node_modules/a && cd node_modules/a && echo {word} >index.js && \
             echo '{{\"name\": \"a\", \"version\": \"1.0.0\"}}' >package.json\n"
        )
    };
    let mut base = it.base.clone();
    for (path, text) in [
        ("package-lock.json", lock(&["a"])),
        ("install.sh", installer("honest")),
    ] {
        base = it.commit_on(&base, path, Some(&text)).await;
    }
    let moved = format!("update specs set base_sha = '{base}'");
    let mut rows = RawConnection::open(it.database_url()).await.unwrap();
    rows.execute(&moved).await.unwrap();
    rows.close().await.unwrap();
    let mut head = base.clone();
    for (path, text) in [
        ("package-lock.json", lock(&["a", "b"])),
        ("install.sh", installer("evil")),
    ] {
        head = it.commit_on(&head, path, Some(&text)).await;
    }
    let task = validate_head(&it, 1, &head).await;
    assert_eq!(task.status, TaskStatus::Pending);
    let told = task.revision.unwrap().0.feedback;
    assert!(
        told.contains("where no lock file says so: node_modules/a/index.js"),
        "{told}"
    );
}

#[tokio::test]
async fn checks_wait_for_a_slot_like_all_work() {
    let (it, _state) = with_slots(2).await;
    let mut ready = Vec::new();
    for number in 1..=4 {
        let head = it.commit_work("src/new.txt").await;
        ready.push(add_waiting_task(&it, number, &head).await);
    }
    // One slot is an agent's.
    let busy = it.add_task(5, &[]).await;
    it.run_task(busy.id).await;
    let mut validator = Validator::from_parts(&it.deployment);
    for done in 1..=4 {
        omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
        assert!(it.slots_in_use().await <= 2);
        it.deployment.running.wait_drained().await;
        let mut completed = 0;
        for id in &ready {
            let status = it.task_now(*id).await.status;
            completed += u32::from(status == TaskStatus::Completed);
        }
        assert_eq!(completed, done);
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
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
        let source = it.add_task(1, &[]).await;
        let head = it.commit_work("src/new.txt").await;
        let found = it
            .commit(async |tx| {
                let mut task = sample_rows::task(tx, &it.ticket, 2);
                task.parent_task_id = Some(source.id);
                task.status = TaskStatus::PendingValidation;
                task.base_sha = Some(it.base.as_str().to_owned());
                task.head_sha = Some(head.as_str().to_owned());
                tasks::insert(tx, &task).await?;
                let own = Check {
                    command: command.to_owned(),
                    base_exit: None,
                    ..task_check(tx, &task)
                };
                checks::insert(tx, &own, &[]).await?;
                if with_suite {
                    let suite = Check {
                        id: tx.new_id(),
                        task_id: None,
                        kind: CheckKind::Suite,
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
        let mut validator = Validator::from_parts(&it.deployment);
        omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
        it.deployment.running.wait_drained().await;
        let task = it.task_now(found.id).await;
        assert_eq!(task.status, status, "{command} {with_suite}");
        if status == TaskStatus::Failed {
            let why = task.error_message.unwrap();
            assert!(why.starts_with("check_proves_nothing"), "{why}");
        }
        let mut tx = it.read_tx().await;
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
            assert_eq!(says, receipt.stage == CheckStage::Base);
        }
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_checked_keeps_no_other_from_its_turn() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let (broken, good) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let subject = AttemptSubject::TaskChecks { task_id: broken.id };
    blocked_by_an_attempt(&it, subject).await;
    for task in [&broken, &good] {
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.status = TaskStatus::PendingValidation;
            tasks::save(tx, &mut task).await
        })
        .await
        .unwrap();
    }
    let mut validator = Validator::from_parts(&it.deployment);
    let (_, failures) =
        omoi_testkit::deployment::tick_with_failures(&mut validator, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    let failed: Vec<_> = failures.iter().map(|f| f.entity.as_str()).collect();
    assert_eq!(failed, [broken.label()]);
    let made = omoi_store::attempts::of_task(&mut it.read_tx().await, good.id).await;
    assert_eq!(made.unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_that_a_check_prints_is_not_in_its_receipt() {
    let (it, _state) = with_slots(5).await;
    let head = it.commit_work("src/new.txt").await;
    // Written by no one: only its output holds it.
    let (front, back) = KNOWN_SECRET.split_at(8);
    let suite = format!("k={front}; echo key $k{back} ends; echo again $k{back} >&2; exit 1");
    let task = judged(&it, &head, ("true", &suite, Some((0, "fine\n")))).await;
    let mut tx = it.read_tx().await;
    let receipts = checks::receipts_of_task(&mut tx, task.id).await.unwrap();
    let printed: String = receipts.iter().map(|r| r.output.as_str()).collect();
    assert!(printed.contains("key **** ends\nagain ****\n"), "{printed}");
    // Nor in what the next agent is told of it.
    let kept = format!("{:?} {:?}", task.revision, task.error_message);
    assert!(
        !printed.contains(KNOWN_SECRET) && !kept.contains(KNOWN_SECRET),
        "{kept}"
    );
}

/// Another process takes the last slot while the start of the checks waits for the row that counts it.
#[tokio::test]
async fn checks_whose_slot_is_lost_at_the_commit_wait() {
    let it = TestDeployment::on_database(omoi_testkit::postgres::database(), |parts| {
        parts.queue.slots.per_project = 1;
    })
    .await;
    let task = it.add_task(1, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::PendingValidation;
        task.head_sha = Some(it.base.as_str().to_owned());
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    let waiting = it.task_now(task.id).await;
    let mut other = RawConnection::open(it.database_url()).await.unwrap();
    other
        .execute("begin; update projects set slots_used = slots_used + 1")
        .await
        .unwrap();
    let mut validator = Validator::from_parts(&it.deployment);
    let take = async {
        omoi_testkit::postgres::wait_until_blocked(it.database_url(), 1).await;
        other.execute("commit").await.unwrap();
    };
    tokio::join!(
        omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()),
        take
    );
    assert_eq!(it.task_now(task.id).await, waiting);
    assert!(it.deployment.running.attempt_ids().is_empty());
    // Back again, it is the validator's.
    other
        .execute("update projects set slots_used = slots_used - 1")
        .await
        .unwrap();
    omoi_testkit::deployment::tick_once(&mut validator, it.clock.now()).await;
    assert_ne!(it.task_now(task.id).await.status, waiting.status);
    it.deployment.running.wait_drained().await;
}
