//! Proof checks on the base commit.

use serde_json::json;

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::phase::Phase;
use omoi_domain::spec::PhaseState;
use omoi_execution::integration::phase_output;
use omoi_store::{attempts, checks, phases};
use omoi_testkit::deployment::ended_report;

use crate::desk::{Desk, add_spec};

/// A desk whose next phase is tasks.
async fn before_tasks(hang: bool) -> Desk {
    let mut desk = Desk::with(hang, |_| {}).await;
    for phase in [
        Phase::Explore,
        Phase::Prd,
        Phase::Requirements,
        Phase::Design,
    ] {
        desk.work_through(phase).await;
    }
    desk
}

async fn tasks_handed_in(desk: &mut Desk) {
    desk.tick().await;
    let (attempt, _) = desk.agent(Phase::Tasks).await;
    desk.hand_in(&attempt, Phase::Tasks).await;
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
}

#[tokio::test]
async fn a_proof_that_hangs_holds_up_nobody() {
    let mut desk = before_tasks(true).await;
    tasks_handed_in(&mut desk).await;
    let other = add_spec(&desk.it, 3, &desk.spec.base_sha).await;
    desk.tick().await;
    desk.tick().await;
    let mut tx = desk.it.read_tx().await;
    let subject = AttemptSubject::SpecPhase {
        phase: Phase::Explore,
    };
    let made = attempts::of_subject(&mut tx, other.id, subject)
        .await
        .unwrap();
    assert_eq!(made.len(), 1, "the other spec goes on");
    // And the one with the proof has exactly one attempt at it.
    let subject = AttemptSubject::PlanProofs;
    let proofs = attempts::of_subject(&mut tx, desk.spec.id, subject)
        .await
        .unwrap();
    let states: Vec<_> = proofs.iter().map(|a| a.state).collect();
    assert_eq!(states, [AttemptState::Starting]);
    assert_eq!(desk.run(Phase::Tasks).await.state, PhaseState::Running);
}

#[tokio::test]
async fn what_proofs_show_on_the_base_decides_and_is_found_out_once() {
    let mut desk = before_tasks(false).await;
    desk.bend(Phase::Tasks, |tasks| {
        tasks["tasks"][0]["checks"][0]["command"] = json!("kill -9 $$");
        tasks["tasks"][1]["checks"][0]["command"] = json!("sh todo.sh README.md");
    });
    tasks_handed_in(&mut desk).await;
    desk.proofs_ended().await;
    desk.tick().await;
    let run = desk.run(Phase::Tasks).await;
    assert_eq!(run.state, PhaseState::Backoff);
    let feedback = run.feedback.unwrap();
    println!("{feedback}");
    for says in [
        "this proof did not end by itself on the base commit",
        "this proof passes on the base commit already",
    ] {
        assert!(feedback.contains(says), "{feedback}");
    }
    assert!(!feedback.contains("not tried"), "{feedback}");

    // Both are mended; only these are run again.
    desk.it.advance_clock(2);
    desk.bend(Phase::Tasks, |tasks| {
        tasks["tasks"][0]["checks"][0]["command"] = json!("sh todo.sh none || exit 3");
        tasks["tasks"][1]["checks"][0]["command"] = json!("sh todo.sh none || exit 4");
    });
    tasks_handed_in(&mut desk).await;
    let tried = desk.proofs_ended().await;
    assert_eq!(tried.len(), 2);
    desk.tick().await;
    desk.work_through(Phase::Sync).await;
    let mut tx = desk.it.read_tx().await;
    let runs = phases::of_spec(&mut tx, desk.spec.id).await.unwrap();
    let planned: omoi_plan::outputs::TasksOutput =
        phase_output(&runs, Phase::Tasks).unwrap().unwrap();
    assert_eq!(planned.tasks[0].checks[0].timeout_s, Some(120));
    let rows = checks::of_spec(&mut tx, desk.spec.id).await.unwrap();
    let mut exits: Vec<_> = rows.iter().filter_map(|row| row.base_exit).collect();
    exits.sort_unstable();
    exits.dedup();
    assert_eq!(exits, [1, 3, 4]);
}
