//! Work found by agents, inside its caps.

use std::time::Duration;

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason};
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::task::{Priority, TaskStatus, TaskType};
use omoi_execution::discovery::report_discovery;
use omoi_execution::intake::{IntakeError, ack_messages, complete_attempt};
use omoi_protocol::worker::{AckMessages, ProposedCheck, ReportDiscovery};
use omoi_store::checks::{self, Check};
use omoi_store::{Json, attempts, tasks};
use omoi_testkit::crash_points::{count_passed, note_crash_points};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, ended_report};

omoi_testkit::on_both_databases!(a_crowd_keeps_to_the_caps, a_late_report_changes_nothing,);

pub(crate) fn found(title: &str) -> ReportDiscovery {
    ReportDiscovery {
        discovery_type: DiscoveryType::Bug,
        title: title.to_owned(),
        description: "Seen in the tests".to_owned(),
        spawn_phase_id: None,
        priority_boost: false,
        needed: false,
        check: Some(ProposedCheck {
            command: "false".to_owned(),
            files: std::collections::BTreeMap::new(),
        }),
        files: Vec::new(),
    }
}

#[tokio::test]
async fn a_title_is_one_line_of_plain_text() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let ack = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("Fix\n\nit \u{1b}[31mnow\u{1b}[0m"),
    )
    .await
    .unwrap();
    let number = ack.task_ref.unwrap().trim_start_matches("TSK-").parse();
    let made = tasks::numbered(&mut it.read_tx().await, number.unwrap()).await;
    assert_eq!(made.unwrap()[0].title, "Fix it now");
}

#[tokio::test]
async fn a_find_becomes_a_task_once() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let body = ReportDiscovery {
        priority_boost: true,
        needed: true,
        ..found("A crash")
    };
    let ack = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        body.clone(),
    )
    .await
    .unwrap();
    assert!(ack.task_ref.is_some() && ack.refused.is_none());
    note_crash_points();
    assert_eq!(
        report_discovery(&it.deployment.store, &it.deployment.limits, &attempt, body)
            .await
            .unwrap(),
        ack
    );
    assert_eq!(count_passed(CrashPoint::DiscoveryRecorded), 0);
    let all = tasks::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    let spawned: Vec<_> = all
        .iter()
        .filter(|t| t.parent_task_id == Some(task.id))
        .collect();
    assert_eq!(spawned.len(), 1);
    let spawned = spawned[0];
    assert_eq!(
        (spawned.status, spawned.priority),
        (TaskStatus::Pending, Priority::High)
    );
    assert_eq!(
        (spawned.discovery_depth, spawned.needed, spawned.fence),
        (1, true, 0)
    );
    assert_eq!(spawned.task_type, TaskType::FixBug);
    let own = checks::of_task(&mut it.read_tx().await, spawned.id)
        .await
        .unwrap();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].kind, CheckKind::Proof);
}

#[tokio::test]
async fn caps_refuse_and_say_so() {
    let it = TestDeployment::new().await;
    let first = it.add_task(1, &[]).await;
    let attempt = it.run_task(first.id).await.attempt;
    // 3 per task.
    for n in 1..=3 {
        let ack = report_discovery(
            &it.deployment.store,
            &it.deployment.limits,
            &attempt,
            found(&format!("find {n}")),
        )
        .await;
        assert!(ack.unwrap().task_ref.is_some());
    }
    let ack = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("find 4"),
    )
    .await
    .unwrap();
    assert_eq!(ack.task_ref, None);
    assert!(ack.refused.unwrap().starts_with("count cap"));
    // 5 per spec.
    let second = it.add_task(50, &[]).await;
    let attempt = it.run_task(second.id).await.attempt;
    for n in 5..=6 {
        let ack = report_discovery(
            &it.deployment.store,
            &it.deployment.limits,
            &attempt,
            found(&format!("find {n}")),
        )
        .await;
        assert!(ack.unwrap().task_ref.is_some(), "find {n}");
    }
    let ack = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("find 7"),
    )
    .await
    .unwrap();
    assert!(ack.refused.unwrap().starts_with("count cap"));
    // 2 in a row.
    let deep = it.add_task(60, &[]).await;
    it.commit(async |tx| {
        let mut row = tasks::get(tx, deep.id).await?;
        row.id = tx.new_id();
        row.number = 61;
        row.local_id = "TSK-061".to_owned();
        row.discovery_depth = 2;
        tasks::insert(tx, &row).await
    })
    .await
    .unwrap();
    let all = tasks::numbered(&mut it.read_tx().await, 61).await.unwrap();
    let attempt = it.run_task(all[0].id).await.attempt;
    let ack = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("find 8"),
    )
    .await
    .unwrap();
    assert!(ack.refused.unwrap().starts_with("depth cap"));
}

/// Agents that report at once, three finds each; 5 are left to the spec and 3 to a task.
async fn a_crowd_keeps_to_the_caps(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let mut running = Vec::new();
    for number in 1..=4 {
        let task = it.add_task(number, &[]).await;
        running.push(it.run_task(task.id).await.attempt);
    }
    let titles = ["find 1", "find 2", "find 3"];
    let reports = running.iter().flat_map(|attempt| {
        titles.map(|title| {
            report_discovery(
                &it.deployment.store,
                &it.deployment.limits,
                attempt,
                found(title),
            )
        })
    });
    let acks = futures::future::join_all(reports).await;
    let spawned = acks
        .iter()
        .filter(|ack| ack.as_ref().unwrap().task_ref.is_some());
    assert_eq!(spawned.count(), 5);
    let all = tasks::of_spec(&mut it.read_tx().await, it.spec.id).await;
    assert_eq!(all.unwrap().len(), 4 + 5);
}

/// An attempt ends while a report of it is on its way.
async fn a_late_report_changes_nothing(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let mut tx = it.deployment.store.begin_write().await.unwrap();
    let mut row = attempts::get(&mut tx, attempt.id).await.unwrap();
    let to = AttemptState::Failed;
    attempts::transition(&mut tx, &mut row, to).await.unwrap();
    let find = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("A crash"),
    );
    let read = ack_messages(
        &it.deployment.store,
        &attempt,
        AckMessages { ids: Vec::new() },
    );
    let (mut find, mut read) = (Box::pin(find), Box::pin(read));
    let wait = Duration::from_millis(300);
    let early = tokio::time::timeout(wait, &mut find).await;
    assert!(early.is_err(), "it was taken in before the end was known");
    let early = tokio::time::timeout(wait, &mut read).await;
    assert!(early.is_err(), "it was noted before the end was known");
    tx.commit(CrashPoint::AttemptEnded).await.unwrap();
    let (find, read) = tokio::join!(find, read);
    assert!(matches!(find, Err(IntakeError::Superseded)), "{find:?}");
    assert!(matches!(read, Err(IntakeError::Superseded)), "{read:?}");
    let all = tasks::of_spec(&mut it.read_tx().await, it.spec.id).await;
    assert_eq!(all.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_way_to_prove_it_a_find_is_blocked() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let bare = |title| ReportDiscovery {
        check: None,
        ..found(title)
    };
    report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        bare("one"),
    )
    .await
    .unwrap();
    it.commit(async |tx| {
        let suite = Check {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            task_id: None,
            ordinal: 0,
            kind: CheckKind::Suite,
            command: "make test".to_owned(),
            files: Json(std::collections::BTreeMap::new()),
            timeout_s: 60,
            base_exit: None,
            is_deploy: false,
        };
        checks::insert(tx, &suite, &[]).await
    })
    .await
    .unwrap();
    report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        bare("two"),
    )
    .await
    .unwrap();
    let all = tasks::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    let by = |title: &str| all.iter().find(|t| t.title == title).unwrap();
    assert_eq!(by("one").status, TaskStatus::Blocked);
    assert_eq!(by("one").blocked_reason.as_deref(), Some("needs_check"));
    assert_eq!(by("two").status, TaskStatus::Pending);
    let own = checks::of_task(&mut it.read_tx().await, by("two").id)
        .await
        .unwrap();
    assert_eq!(own[0].command, "make test");
}

#[tokio::test]
async fn reports_that_break_a_rule_write_nothing() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let proposing = |command: &str, path: &str, text: String| ReportDiscovery {
        check: Some(ProposedCheck {
            command: command.to_owned(),
            files: [(path.to_owned(), text)].into(),
        }),
        ..found("a")
    };
    let bad = [
        proposing(" ", "a.py", String::new()),
        proposing(&"x".repeat(5_000), "a.py", String::new()),
        proposing("true", "/etc/x", String::new()),
        proposing("true", "a/../../x", String::new()),
        proposing("true", ".git/config", String::new()),
        proposing("true", "a.py", "x".repeat(300 << 10)),
        ReportDiscovery {
            title: " ".to_owned(),
            ..found("a")
        },
        ReportDiscovery {
            title: "x".repeat(201),
            ..found("a")
        },
        ReportDiscovery {
            description: "\n".to_owned(),
            ..found("a")
        },
    ];
    for body in bad {
        let result =
            report_discovery(&it.deployment.store, &it.deployment.limits, &attempt, body).await;
        assert!(matches!(result, Err(IntakeError::Refused(_))), "{result:?}");
    }
    complete_attempt(
        &it.build_part(),
        &attempt,
        ended_report(
            AttemptOutcome::Succeeded,
            AttemptStopReason::CompletionSignal,
        ),
    )
    .await
    .unwrap();
    let late = report_discovery(
        &it.deployment.store,
        &it.deployment.limits,
        &attempt,
        found("late"),
    )
    .await;
    assert!(matches!(late, Err(IntakeError::Superseded)), "{late:?}");
    let all = tasks::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
}
