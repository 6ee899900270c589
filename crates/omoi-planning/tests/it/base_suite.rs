//! The project's own suite on the base commit, before any model is asked.

use std::collections::BTreeMap;

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::check::CheckKind;
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_planning::commands::resume_spec;
use omoi_protocol::api::ResumeSpec;
use omoi_store::checks::{self, Check};
use omoi_store::{Json, attempts, specs};

use crate::desk::Desk;

const RED: &str =
    "printf 'FAIL: test_a (t.A.test_a)\\nRan 2 tests in 0.1s\\n\\nFAILED (failures=1)\\n'; exit 1";
const MISSING: &str = "echo \"ModuleNotFoundError: No module named 'iniconfig'\" >&2; exit 1";

/// A desk whose spec has a suite.
async fn with_suite(command: &str, hang: bool) -> Desk {
    let desk = Desk::with(hang, |_| {}).await;
    let id = desk.spec.id;
    desk.it
        .commit(async |tx| {
            let mut spec = specs::get(tx, id).await?;
            spec.options.0.suite = Some(command.to_owned());
            specs::save(tx, &mut spec).await?;
            let check = Check {
                id: tx.new_id(),
                org_id: tx.org(),
                spec_id: id,
                task_id: None,
                ordinal: 0,
                kind: CheckKind::Suite,
                command: command.to_owned(),
                files: Json(BTreeMap::new()),
                timeout_s: 60,
                base_exit: None,
                is_deploy: false,
            };
            checks::insert(tx, &check, &[]).await
        })
        .await
        .unwrap();
    desk
}

/// Has the suite run to its end, and the planner look at what came of it.
async fn tried(desk: &mut Desk) {
    desk.tick().await;
    desk.until(async || {
        let subject = AttemptSubject::BaseSuite;
        let mut tx = desk.it.read_tx().await;
        let tries = attempts::of_subject(&mut tx, desk.spec.id, subject)
            .await
            .unwrap();
        tries.iter().all(|a| !a.state.is_live()).then_some(())
    })
    .await;
    desk.tick().await;
}

async fn explored(desk: &Desk) -> usize {
    desk.attempts(Phase::Explore).await.len()
}

#[tokio::test]
async fn a_green_suite_lets_planning_begin() {
    let mut desk = with_suite("printf 'Ran 2 tests in 0.1s\\n\\nOK\\n'", false).await;
    desk.tick().await;
    assert_eq!(explored(&desk).await, 0, "no model is asked before");
    tried(&mut desk).await;
    assert_eq!(explored(&desk).await, 1);
    let mut tx = desk.it.read_tx().await;
    let suite = checks::suite_of_spec(&mut tx, desk.spec.id).await.unwrap();
    let base = checks::base_receipt(&mut tx, suite.unwrap().id).await;
    let base = base.unwrap().unwrap();
    assert_eq!((base.passed, base.stage.as_str()), (true, "base"));
    assert_eq!(base.suite_run().report.counts.unwrap().ran, 2);
}

#[tokio::test]
async fn a_red_suite_blocks_the_run_before_any_model_call() {
    for (command, parts, acceptable) in [
        (
            RED,
            &["suite_red", "exit 1", "--accept-red goes on"][..],
            true,
        ),
        (
            MISSING,
            &["`iniconfig`", "sandbox.read_only", "--suite"],
            false,
        ),
        (
            "no-such-runner",
            &["program `no-such-runner`", "exit 127"],
            false,
        ),
    ] {
        let mut desk = with_suite(command, false).await;
        tried(&mut desk).await;
        let spec = desk.spec_now().await;
        assert_eq!(spec.status, SpecStatus::Blocked, "{command}");
        let reason = spec.last_error.unwrap();
        for part in parts {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert_eq!(explored(&desk).await, 0);
        // A person accepts it, which helps where failures have names.
        let asked = ResumeSpec {
            accept_red: true,
            ..ResumeSpec::default()
        };
        resume_spec(
            &desk.it.build_part(),
            &desk.it.deployment.store,
            desk.spec.id,
            asked,
        )
        .await
        .unwrap();
        tried(&mut desk).await;
        assert_eq!(explored(&desk).await, usize::from(acceptable), "{command}");
    }
}

#[tokio::test]
async fn another_suite_or_none_takes_the_place_of_a_red_one() {
    for suite in ["none", "true"] {
        let mut desk = with_suite(MISSING, false).await;
        tried(&mut desk).await;
        assert_eq!(desk.spec_now().await.status, SpecStatus::Blocked);
        let asked = ResumeSpec {
            suite: Some(suite.to_owned()),
            ..ResumeSpec::default()
        };
        resume_spec(
            &desk.it.build_part(),
            &desk.it.deployment.store,
            desk.spec.id,
            asked,
        )
        .await
        .unwrap();
        tried(&mut desk).await;
        assert_eq!(explored(&desk).await, 1, "{suite}");
        let mut tx = desk.it.read_tx().await;
        let stands = checks::suite_of_spec(&mut tx, desk.spec.id).await.unwrap();
        let expected = (suite != "none").then_some("true");
        assert_eq!(stands.as_ref().map(|c| c.command.as_str()), expected);
    }
}

#[tokio::test]
async fn a_suite_cut_short_on_the_base_is_run_again() {
    let mut desk = with_suite("true", true).await;
    let subject = AttemptSubject::BaseSuite;
    for n in 1..=2 {
        desk.tick().await;
        let mut tx = desk.it.deployment.store.begin_write().await.unwrap();
        let tries = attempts::of_subject(&mut tx, desk.spec.id, subject)
            .await
            .unwrap();
        assert_eq!(tries.len(), n);
        let mut last = tries.into_iter().next_back().unwrap();
        attempts::transition(&mut tx, &mut last, AttemptState::Lost)
            .await
            .unwrap();
        tx.commit(omoi_domain::crash::CrashPoint::AttemptEnded)
            .await
            .unwrap();
    }
    assert_eq!(desk.spec_now().await.status, SpecStatus::Executing);
    assert_eq!(explored(&desk).await, 0);
}
