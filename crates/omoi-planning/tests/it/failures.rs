//! Specs that cannot be planned on.

use std::time::Duration;

use serde_json::json;

use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::FromParts as _;
use omoi_planning::commands::{cancel_spec, resume_spec};
use omoi_planning::planner::Planner;
use omoi_protocol::api::ResumeSpec;
use omoi_store::{Json, attempts, phases, specs};

use crate::desk::{Desk, add_spec};

#[tokio::test]
async fn a_broken_spec_fails_alone() {
    let mut desk = Desk::new().await;
    let mut broken = desk.spec.clone();
    broken.base_sha = "no commit".to_owned();
    desk.it
        .commit(async |tx| {
            // Older than the good one, so that it comes first.
            broken.id = tx.new_id();
            broken.number = 3;
            broken.created_at = omoi_domain::time::Timestamp::default();
            specs::insert(tx, &broken).await
        })
        .await
        .unwrap();
    desk.tick().await;
    assert_eq!(desk.attempts(Phase::Explore).await.len(), 1);
    for _ in 0..2 {
        let status = specs::get(&mut desk.it.read_tx().await, broken.id).await;
        assert_eq!(status.unwrap().status, SpecStatus::Executing);
        desk.tick().await;
    }
    let mut tx = desk.it.read_tx().await;
    let spec = specs::get(&mut tx, broken.id).await.unwrap();
    assert_eq!(spec.status, SpecStatus::Failed);
    let reason = spec.last_error.unwrap();
    assert!(
        reason.starts_with("phase explore failed: execution_error: "),
        "{reason}"
    );
    assert!(reason.contains("no commit"), "{reason}");
    let run = phases::find(&mut tx, broken.id, Phase::Explore).await;
    assert_eq!(run.unwrap().unwrap().state, PhaseState::Failed);
    drop(tx);
    // A person mends it and goes on.
    resume_spec(
        &desk.it.build_part(),
        &desk.it.deployment.store,
        broken.id,
        ResumeSpec::default(),
    )
    .await
    .unwrap();
    let run = phases::find(&mut desk.it.read_tx().await, broken.id, Phase::Explore).await;
    assert_eq!(run.unwrap().unwrap().state, PhaseState::Pending);
}

#[tokio::test]
async fn without_orders_there_is_no_attempt() {
    let mut desk = Desk::new().await;
    for phase in Phase::ALL_WORKING.into_iter().filter(|p| *p < Phase::Sync) {
        desk.work_through(phase).await;
    }
    // What sync's orders are made from cannot be read.
    desk.it
        .commit(async |tx| {
            let mut run = phases::ensure(tx, desk.spec.id, Phase::Tasks).await?;
            run.output = Some(Json(json!({ "tasks": 1 })));
            phases::save(tx, &mut run).await
        })
        .await
        .unwrap();
    for _ in 0..3 {
        desk.tick().await;
        assert_eq!(desk.attempts(Phase::Sync).await.len(), 0);
    }
    let spec = desk.spec_now().await;
    assert_eq!(spec.status, SpecStatus::Failed);
    let reason = spec.last_error.unwrap();
    assert!(
        reason.contains("phase sync failed") && reason.contains("output"),
        "{reason}"
    );
    let live = attempts::all_live(&mut desk.it.read_tx().await)
        .await
        .unwrap();
    assert_eq!(live.len(), 0);
}

#[tokio::test]
async fn files_that_a_dead_process_did_not_write_are_written_by_the_next() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let files = desk
        .it
        .deployment
        .data
        .spec_files(desk.spec.number, desk.spec.project_id);
    let summary = files.join(".omoi_os/SPEC_SUMMARY.md");
    let text = std::fs::read_to_string(&summary).unwrap();
    std::fs::remove_dir_all(&files).unwrap();
    desk.it.clock.advance(Duration::from_mins(1));
    desk.planner = Planner::from_parts(&desk.it.deployment);
    desk.tick().await;
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), text);
    // A second spec without outputs has no files, and that is no fault.
    add_spec(&desk.it, 7, &desk.spec.base_sha).await;
    desk.tick().await;
}

#[tokio::test]
async fn a_cancelled_spec_ends_its_phase_as_cancelled() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    cancel_spec(&desk.it.deployment.store, desk.spec.id)
        .await
        .unwrap();
    let mut tx = desk.it.read_tx().await;
    let run = phases::find(&mut tx, desk.spec.id, Phase::Explore).await;
    assert_eq!(run.unwrap().unwrap().state, PhaseState::Failed);
    let told = omoi_store::events::of_spec(&mut tx, desk.spec.id, 0).await;
    let reasons = told
        .unwrap()
        .into_iter()
        .filter_map(|stored| match stored.event {
            omoi_domain::event::Event::SpecPhaseFailed(change) => change.reason,
            _ => None,
        });
    assert_eq!(reasons.collect::<Vec<_>>(), ["cancelled"]);
}
