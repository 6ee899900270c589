//! What phases show, what gates said, and the questions about both.

use std::collections::BTreeSet;
use std::time::Duration;

use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::lifecycle::ticket::{GateReceipt, GateVerdict};
use omoi_domain::merge::MergeState;
use omoi_domain::spec::SpecStatus;
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};
use omoi_store::approvals::{self, PersonQuestion};
use omoi_store::attempts::{self, Turn};
use omoi_store::checked_work::{self, CheckedWork};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::merges::{self, Merge};
use omoi_store::phase_artifacts::{self, GivenArtifact};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, deliveries, phase_gate_results, specs};

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(
    of_what_was_given_the_newest_counts,
    what_gates_said_is_kept_in_order,
    receipts_on_the_merged_tree_show_how_checks_ended,
    a_deploy_check_shows_what_was_handed_over,
    a_gate_and_each_task_ask_once_at_a_time,
    words_are_added_to_the_last_turn,
);

async fn of_what_was_given_the_newest_counts(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let design = ArtifactType::DesignDocument;
    for (artifact_type, given) in [
        (design, GivenArtifact::Document("first".to_owned())),
        (ArtifactType::TestCoverage, GivenArtifact::Coverage(81)),
        (design, GivenArtifact::Document("second ü".to_owned())),
    ] {
        commit(&bench.local, async |tx| {
            phase_artifacts::give_artifact(tx, &world.ticket, artifact_type, given.clone()).await
        })
        .await?;
    }
    let mut tx = bench.local.begin_read().await?;
    let newest = phase_artifacts::newest_of_ticket(&mut tx, world.ticket.id).await?;
    let found: Vec<_> = newest
        .iter()
        .map(|row| (row.artifact_type, row.content.as_deref(), row.percent))
        .collect();
    let expected = [
        (design, Some("second ü"), None),
        (ArtifactType::TestCoverage, None, Some(81)),
    ];
    assert_eq!(found, expected);
    let n = phase_artifacts::count_of_ticket(&mut tx, world.ticket.id).await?;
    assert_eq!(n, 3);
    let mut foreign = bench.foreign().await.begin_read().await?;
    let theirs = phase_artifacts::newest_of_ticket(&mut foreign, world.ticket.id).await?;
    assert_eq!(theirs, []);
    Ok(())
}

async fn what_gates_said_is_kept_in_order(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let shown = GateReceipt {
        receipt_id: bench.id(),
        attempt_id: bench.id(),
        passed: false,
    };
    let verdict = |status, reasons: &[&str]| GateVerdict {
        phase: PhaseId::Testing,
        to_phase: PhaseId::Done,
        status,
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        artifacts: vec![ArtifactType::TestResults],
        receipts: vec![shown],
    };
    for status in GateStatus::ALL {
        commit(&bench.local, async |tx| {
            let said = verdict(*status, &["ü is missing"]);
            phase_gate_results::keep_verdict(tx, &world.ticket, said).await
        })
        .await?;
    }
    let mut tx = bench.local.begin_read().await?;
    let kept = phase_gate_results::of_ticket(&mut tx, world.ticket.id, 9).await?;
    let statuses: Vec<GateStatus> = kept.iter().rev().map(|row| row.gate_status).collect();
    assert_eq!(statuses, GateStatus::ALL);
    assert_eq!(kept[0].blocking_reasons.0, ["ü is missing"]);
    assert_eq!(kept[0].artifacts.0, [ArtifactType::TestResults]);
    assert_eq!(kept[0].receipts.0, [shown]);
    let newest = phase_gate_results::newest_of_tickets(&mut tx, &[world.ticket.id]).await?;
    assert_eq!(newest.get(&world.ticket.id), kept.first());
    let mut foreign = bench.foreign().await.begin_read().await?;
    let theirs = phase_gate_results::of_ticket(&mut foreign, world.ticket.id, 9).await?;
    assert_eq!(theirs, []);
    let theirs = phase_gate_results::newest_of_tickets(&mut foreign, &[world.ticket.id]).await?;
    assert!(theirs.is_empty());
    Ok(())
}

async fn receipts_on_the_merged_tree_show_how_checks_ended(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (own, none) = (BTreeSet::from([world.task.id]), BTreeSet::new());
    let (spec, landed, left) = (world.spec.id, "m".repeat(40), "c".repeat(40));
    let (check, attempt) = commit(&bench.local, async |tx| {
        let (check, attempt) = (
            samples::check(tx, &world.task, 1),
            samples::attempt(tx, &world.task, 1),
        );
        checks::insert(tx, &check, &[]).await?;
        attempts::insert(tx, &attempt).await?;
        let merge = Merge {
            state: MergeState::Completed,
            merged_sha: Some(landed.clone()),
            ..samples::merge(tx, &world.task)
        };
        merges::insert(tx, &merge).await?;
        Ok((check, attempt))
    })
    .await?;
    // What ran on a branch that did not land shows nothing of the merged tree.
    for (stage, sha, passed, is_shown) in [
        (CheckStage::Task, &left, true, false),
        (CheckStage::Merge, &left, false, false),
        (CheckStage::Base, &landed, false, false),
        (CheckStage::Task, &landed, true, true),
        (CheckStage::Merge, &landed, false, true),
        (CheckStage::Head, &left, true, true),
    ] {
        let (before, after, others) = commit(&bench.local, async |tx| {
            let before = checked_work::of_tasks(tx, spec, &own).await?;
            let receipt = Receipt {
                stage,
                commit_sha: sha.clone(),
                passed,
                started_at: bench.now(),
                ..samples::receipt(tx, &check, &attempt)
            };
            checks::store_receipt(tx, world.project.id, &check, &receipt).await?;
            let shown = GateReceipt {
                receipt_id: receipt.id,
                attempt_id: attempt.id,
                passed,
            };
            let after = checked_work::of_tasks(tx, spec, &own).await?;
            if is_shown {
                assert_eq!(after.receipts, [shown], "{stage}");
            }
            Ok((
                before,
                after,
                checked_work::of_tasks(tx, spec, &none).await?,
            ))
        })
        .await?;
        assert_eq!(before == after, !is_shown, "{stage} {sha}");
        assert_eq!((after.n_named, others), (1, CheckedWork::default()));
        bench.advance(Duration::from_secs(1));
    }
    let mut foreign = bench.foreign().await.begin_read().await?;
    let theirs = checked_work::of_tasks(&mut foreign, spec, &own).await?;
    assert_eq!(theirs, CheckedWork::default());
    Ok(())
}

async fn a_deploy_check_shows_what_was_handed_over(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let spec = world.spec.id;
    let (check, attempt) = commit(&bench.local, async |tx| {
        let check = Check {
            task_id: None,
            kind: CheckKind::Regression,
            is_deploy: true,
            ..samples::check(tx, &world.task, 1)
        };
        checks::insert(tx, &check, &[]).await?;
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        deliveries::plan(tx, spec, &"h".repeat(40), "omoi/tags").await?;
        Ok((check, attempt))
    })
    .await?;
    for (sha, passed, shown) in [
        ("g".repeat(40), true, None),
        ("h".repeat(40), false, Some(false)),
        ("h".repeat(40), true, Some(true)),
    ] {
        let found = commit(&bench.local, async |tx| {
            let receipt = Receipt {
                stage: if passed {
                    CheckStage::Head
                } else {
                    CheckStage::Merge
                },
                commit_sha: sha.clone(),
                passed,
                started_at: bench.now(),
                ..samples::receipt(tx, &check, &attempt)
            };
            checks::store_receipt(tx, world.project.id, &check, &receipt).await?;
            checked_work::of_deployment(tx, spec, &check.command).await
        })
        .await?;
        assert_eq!(found.map(|receipt| receipt.passed), shown, "{sha} {passed}");
        bench.advance(Duration::from_secs(1));
    }
    let mut tx = bench.local.begin_read().await?;
    let own = checks::deploy_of_spec(&mut tx, spec, &check.command).await?;
    assert_eq!(own, Some(check.clone()));
    assert_eq!(
        checks::deploy_of_spec(&mut tx, spec, "another").await?,
        None
    );
    assert_eq!(
        checked_work::of_deployment(&mut tx, spec, "another").await?,
        None
    );
    // It says nothing of the work on tasks.
    let tasks = BTreeSet::from([world.task.id]);
    let work = checked_work::of_tasks(&mut tx, spec, &tasks).await?;
    assert_eq!(work, CheckedWork::default());
    drop(tx);
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_read().await?;
    assert_eq!(
        checks::deploy_of_spec(&mut tx, spec, &check.command).await?,
        None
    );
    assert_eq!(
        checked_work::of_deployment(&mut tx, spec, &check.command).await?,
        None
    );
    drop(tx);
    tickets_wait_for_what_was_delivered(&bench, &world).await
}

async fn tickets_wait_for_what_was_delivered(
    bench: &Bench,
    world: &World,
) -> Result<(), StoreError> {
    let (follows, blocked) = commit(&bench.local, async |tx| {
        let mut spec = specs::get(tx, world.spec.id).await?;
        let follows = Ticket {
            follows_spec_id: Some(spec.id),
            status: TicketStatus::Deploying,
            phase_id: PhaseId::Deployment,
            ..Ticket::in_backlog(tx, world.project.id, 11)
        };
        tickets::insert(tx, &follows).await?;
        let mut blocked = Ticket {
            id: tx.new_id(),
            number: 12,
            local_id: "TKT-012".to_owned(),
            ..follows.clone()
        };
        tickets::insert(tx, &blocked).await?;
        assert_eq!(
            tickets::list_deploying(tx).await?,
            [],
            "nothing is handed over"
        );
        specs::transition(tx, &mut spec, SpecStatus::Delivered, None).await?;
        let reason = TicketBlockReason::FailingChecks;
        tickets::block_ticket(tx, &mut blocked, reason, None).await?;
        Ok((follows, blocked))
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let found = tickets::list_deploying(&mut tx).await?;
    let ids: Vec<_> = found.iter().map(|ticket| ticket.id).collect();
    assert_eq!(ids, [follows.id], "{}", blocked.id);
    let mut foreign = bench.foreign().await.begin_read().await?;
    assert_eq!(tickets::list_deploying(&mut foreign).await?, []);
    Ok(())
}

async fn a_gate_and_each_task_ask_once_at_a_time(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let attempt = commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await?;
    let ask_gate = async || {
        commit(&bench.local, async |tx| {
            let lacks = "no document".to_owned();
            approvals::ask_about_gate(tx, &world.ticket, PhaseId::Done, lacks).await
        })
        .await
    };
    let ask_task = async || {
        commit(&bench.local, async |tx| {
            let asked = PersonQuestion {
                question: "Which port?".to_owned(),
                choices: vec!["4317".to_owned()],
            };
            approvals::ask_for_task(tx, &world.task, attempt.id, asked).await
        })
        .await
    };
    let (gate, question) = (ask_gate().await?, ask_task().await?);
    for twice in [ask_gate().await, ask_task().await] {
        assert!(matches!(twice, Err(StoreError::Exists { .. })), "{twice:?}");
    }
    let mut tx = bench.local.begin_read().await?;
    let ticket = world.ticket.id;
    let open = approvals::open_gate_of_ticket(&mut tx, ticket).await?;
    assert_eq!(open, Some(gate.clone()));
    let of_task = approvals::of_task(&mut tx, world.task.id).await?;
    assert_eq!(of_task, std::slice::from_ref(&question));
    assert_eq!(question.kind, ApprovalKind::Question);
    // Neither is the question whether the ticket may be worked on.
    assert_eq!(approvals::newest_of_ticket(&mut tx, ticket).await?, None);
    drop(tx);
    commit(&bench.local, async |tx| {
        approvals::withdraw_of_task(tx, world.task.id).await?;
        let mut gate = approvals::get(tx, gate.id).await?;
        approvals::close_approval(tx, &mut gate, ApprovalState::Rejected, Some("no")).await
    })
    .await?;
    ask_gate().await?;
    ask_task().await?;
    let mut foreign = bench.foreign().await.begin_read().await?;
    assert_eq!(
        approvals::open_gate_of_ticket(&mut foreign, ticket).await?,
        None
    );
    let theirs = approvals::of_task(&mut foreign, world.task.id).await?;
    assert_eq!(theirs, []);
    Ok(())
}

async fn words_are_added_to_the_last_turn(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (attempt, is_told) = commit(&bench.local, async |tx| {
        let mut attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        let is_told = attempts::add_to_last_turn(tx, attempt.id, "early").await?;
        for n in 0..2 {
            let turn = Turn {
                tool_results: Json(serde_json::json!([])),
                ..samples::turn(&attempt, n)
            };
            attempts::append_turn(tx, &mut attempt, &turn).await?;
        }
        Ok((attempt, is_told))
    })
    .await?;
    assert!(!is_told, "there is no turn");
    commit(&bench.local, async |tx| {
        assert!(attempts::add_to_last_turn(tx, attempt.id, "ü").await?);
        Ok(())
    })
    .await?;
    let foreign = bench.foreign().await;
    commit(&foreign, async |tx| {
        assert!(!attempts::add_to_last_turn(tx, attempt.id, "theirs").await?);
        Ok(())
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let turns = attempts::turns(&mut tx, attempt.id).await?;
    let told: Vec<_> = turns.iter().map(|turn| &turn.tool_results.0).collect();
    let added = serde_json::json!([{ "type": "text", "text": "ü" }]);
    assert_eq!(told, [&serde_json::json!([]), &added]);
    Ok(())
}
