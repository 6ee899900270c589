//! The suite of a project is judged by its run on the base.

use omoi_delivery::validator::Validator;
use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::model_fallback::WorkModels;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::suite::report::read_suite_report;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::insert_attempt;
use omoi_git::object::ObjectId;
use omoi_runtime::clock::Clock as _;
use omoi_store::checks::{self, Check, Receipt, RunConditions};
use omoi_store::{Json, specs, tasks};
use omoi_testkit::deployment::TestDeployment;

use crate::landed_work::task_check;
use crate::with_slots;

/// A task under validation at `head`, proven by `check`, in a spec whose suite is `suite`, which
/// printed `base` on the base commit.
#[allow(clippy::too_many_lines, reason = "the rows of one task")]
pub(crate) async fn judged(
    it: &TestDeployment,
    head: &ObjectId,
    (check, suite, base): (&str, &str, Option<(i32, &str)>),
) -> omoi_store::tasks::Task {
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    it.commit(async |tx| {
        let mut spec = specs::get(tx, it.spec.id).await?;
        spec.options.0.suite = Some(suite.to_owned());
        specs::save(tx, &mut spec).await?;
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::PendingValidation;
        task.head_sha = Some(head.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let own = Check {
            command: check.to_owned(),
            ..task_check(tx, &task)
        };
        checks::insert(tx, &own, &[]).await?;
        let suite = Check {
            id: tx.new_id(),
            task_id: None,
            kind: CheckKind::Suite,
            command: suite.to_owned(),
            ..own
        };
        checks::insert(tx, &suite, &[]).await?;
        let Some((exit, printed)) = base else {
            return Ok(());
        };
        let new = it.new_attempt(AttemptSubject::BaseSuite, AgentRole::Platform);
        let attempt = insert_attempt(tx, &it.build_part(), new).await?.attempt;
        let receipt = Receipt {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: spec.id,
            check_id: suite.id,
            task_id: None,
            attempt_id: attempt.id,
            stage: CheckStage::Base,
            commit_sha: spec.base_sha.clone(),
            tree_sha: spec.base_sha.clone(),
            rung: SandboxRung::Process,
            conditions: Json(RunConditions::default()),
            exit_code: Some(exit),
            passed: exit == 0,
            output: printed.to_owned(),
            output_digest: String::new(),
            exercised: Json(None),
            self_tested: false,
            tests: Json(Some(read_suite_report(printed))),
            packages: Json(None),
            models: Json(WorkModels::default()),
            started_at: tx.now(),
            took_ms: 1,
        };
        checks::store_receipt(tx, spec.project_id, &suite, &receipt).await?;
        Ok(())
    })
    .await
    .unwrap();
    let mut validator = Validator::from_parts(&it.deployment);
    let (_, failures) =
        omoi_testkit::deployment::tick_with_failures(&mut validator, it.clock.now()).await;
    assert!(failures.is_empty());
    it.deployment.running.wait_drained().await;
    it.task_now(task.id).await
}

#[tokio::test]
async fn the_suite_is_judged_by_its_run_on_the_base() {
    let green = "Ran 3 tests in 0.1s\n\nOK\n";
    let red = "FAIL: a (t)\nRan 3 tests in 0.1s\n\nFAILED (failures=1)\n";
    let other = "FAIL: b (t)\nRan 3 tests in 0.1s\n\nFAILED (failures=1)\n";
    let fewer = "Ran 2 tests in 0.1s\n\nOK\n";
    let completed = TaskStatus::Completed;
    let back = TaskStatus::Pending;
    for (base, printed, exit, status, word) in [
        ((0, green), green, 0, completed, None),
        ((0, green), fewer, 0, back, Some("fewer_tests")),
        ((0, green), "fine\n", 0, back, Some("fewer_tests")),
        ((1, red), red, 1, completed, Some("known_red")),
        ((1, red), other, 1, back, Some("new_failures")),
        ((1, red), green, 0, completed, None),
    ] {
        let (it, _state) = with_slots(5).await;
        let head = it.commit_work("src/new.txt").await;
        let printed = printed.replace('\n', "\\n");
        let suite = format!("printf '{printed}'; exit {exit}");
        let task = judged(&it, &head, ("true", &suite, Some(base))).await;
        let mut tx = it.read_tx().await;
        let receipts = checks::receipts_of_task(&mut tx, task.id).await.unwrap();
        let receipt = receipts.iter().find(|r| r.tests.0.is_some()).unwrap();
        assert_eq!(receipt.passed, status == completed, "{printed} {receipt:?}");
        let notes = ["fewer_tests", "known_red", "new_failures"];
        let noted = notes.into_iter().find(|n| receipt.output.contains(*n));
        assert_eq!(noted, word, "{printed}");
        assert_eq!(task.round, u32::from(status != completed), "{printed}");
    }
}

#[tokio::test]
async fn what_the_machine_lacks_is_no_round_of_the_agent() {
    let missing = "echo \"ModuleNotFoundError: No module named 'iniconfig'\"; exit 1";
    for (declared, status, round) in [
        ("iniconfig>=2\n", TaskStatus::Blocked, 0),
        ("other\n", TaskStatus::Pending, 1),
    ] {
        let (it, _state) = with_slots(5).await;
        let head = it
            .commit_on(&it.base, "requirements.txt", Some(declared))
            .await;
        let task = judged(&it, &head, (missing, "true", None)).await;
        assert_eq!(task.round, round, "{declared}");
        if status == TaskStatus::Blocked {
            assert_eq!(task.status, status);
            let reason = task.blocked_reason.unwrap();
            assert!(reason.starts_with("environment_fault: "), "{reason}");
            assert!(reason.contains("`iniconfig`"), "{reason}");
            // A person had the package installed: the work is checked again, and no agent asked.
            it.advance_clock(1);
            let retried = it.commit(async |tx| {
                let mut task = tasks::get(tx, task.id).await?;
                omoi_execution::tasks::retry_by_person(tx, &mut task).await?;
                Ok(task)
            });
            let retried = retried.await.unwrap();
            assert_eq!(retried.status, TaskStatus::PendingValidation);
            assert_eq!(retried.blocked_reason, None);
        }
    }
}
