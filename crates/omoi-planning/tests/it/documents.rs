//! A ticket that is looked into and designed before it is built, with its agents played by the test.

use serde_json::json;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecKind, SpecStatus};
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket::{TicketStatus, WorkflowMode};
use omoi_domain::workflow::{GateStatus, PhaseId};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, phase_gate_results, specs, tasks, ticket_contexts};
use omoi_testkit::deployment::ended_report;

use crate::desk::Desk;

/// A desk whose spec is that of a ticket of mode `none`, which was begun.
async fn begun() -> (Desk, Ticket) {
    let mut desk = Desk::new().await;
    let made = desk.it.commit(async |tx| {
        // The spec of the desk has no part in this.
        let mut other = specs::get(tx, desk.spec.id).await?;
        specs::transition(tx, &mut other, SpecStatus::Cancelled, None).await?;
        let mut spec = desk.spec.clone();
        spec.id = tx.new_id();
        spec.number = 3;
        spec.kind = SpecKind::Direct;
        spec.current_phase = Phase::TicketRequirements;
        spec.original_request = "Export todos\n\nAs CSV.".to_owned();
        specs::insert(tx, &spec).await?;
        let ticket = Ticket {
            spec_id: Some(spec.id),
            workflow_mode: Some(WorkflowMode::Phased),
            check_commands: Json(vec!["sh todo.sh export.done".to_owned()]),
            title: "Export todos".to_owned(),
            description: "As CSV.".to_owned(),
            status: TicketStatus::Analyzing,
            phase_id: PhaseId::Requirements,
            ..Ticket::in_backlog(tx, spec.project_id, 5)
        };
        tickets::insert(tx, &ticket).await?;
        Ok((spec, ticket))
    });
    let (spec, ticket) = made.await.unwrap();
    desk.spec = spec;
    (desk, ticket)
}

/// Has the agent of a phase hand `text` in; gives what it was told.
async fn write_document(desk: &mut Desk, phase: Phase, text: &str) -> String {
    desk.tick().await;
    let (attempt, told) = desk.agent(phase).await;
    assert_eq!(told.commit, None, "it may only read");
    let place = ("document", "");
    desk.submit(&attempt, place, json!(text)).await.unwrap();
    let done = ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done);
    desk.end(&attempt, done).await;
    desk.tick().await;
    told.prompt
}

async fn ticket_now(desk: &Desk, ticket: &Ticket) -> Ticket {
    tickets::get(&mut desk.it.read_tx().await, ticket.id)
        .await
        .unwrap()
}

#[tokio::test]
async fn one_document_after_the_other_is_kept_and_given_to_whoever_goes_on() {
    let (mut desk, ticket) = begun().await;
    let first = Phase::TicketRequirements;
    let told = write_document(&mut desk, first, "# Scope\nExport.").await;
    assert!(
        told.contains("As CSV.") && told.contains("at least 500 characters"),
        "{told}"
    );
    let refused = desk.run(first).await;
    assert_eq!(refused.state, PhaseState::Backoff);
    let feedback = refused.feedback.unwrap();
    assert!(feedback.contains("acceptance_criteria"), "{feedback}");
    assert_eq!(
        ticket_now(&desk, &ticket).await.phase_id,
        PhaseId::Requirements
    );

    desk.it.advance_clock(600);
    let wanted = format!(
        "# Scope\n{}\n# Acceptance criteria\nExports quoted commas.",
        "Each todo is a line. ".repeat(30)
    );
    let told = write_document(&mut desk, first, &wanted).await;
    assert!(
        told.contains("has no section"),
        "the refusal is told: {told}"
    );
    assert_eq!(desk.run(first).await.state, PhaseState::Passed);
    let looked_into = ticket_now(&desk, &ticket).await;
    let stands = (looked_into.status, looked_into.phase_id);
    assert_eq!(stands, (TicketStatus::Analyzing, PhaseId::Design));

    let built = "Write `todo/export.py` with one function.";
    let told = write_document(&mut desk, Phase::TicketDesign, built).await;
    assert!(told.contains("Exports quoted commas."), "{told}");
    assert_eq!(desk.spec_now().await.current_phase, Phase::Complete);
    let contexts = ticket_contexts::of_ticket(&mut desk.it.read_tx().await, ticket.id).await;
    let mut kept: Vec<_> = contexts
        .unwrap()
        .into_iter()
        .map(|context| (context.phase_id, context.summary))
        .collect();
    kept.sort();
    let expected = [
        (TicketPhase::Requirements, wanted.clone()),
        (TicketPhase::Design, built.to_owned()),
    ];
    assert_eq!(kept, expected);
    is_built_from_both(&mut desk, &ticket).await;
}

/// The task is written with both documents, and released once its command fails without it.
async fn is_built_from_both(desk: &mut Desk, ticket: &Ticket) {
    desk.tick().await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let [task] = &all.unwrap()[..] else {
        panic!("one task")
    };
    for part in [
        "As CSV.",
        "# Requirements",
        "Exports quoted commas.",
        "# Design",
        "export.py",
    ] {
        assert!(
            task.description.contains(part),
            "{part}: {}",
            task.description
        );
    }
    desk.tick().await;
    desk.proofs_ended().await;
    desk.tick().await;
    assert_eq!(desk.spec_now().await.status, SpecStatus::Working);
    let now = ticket_now(desk, ticket).await;
    let stands = (now.status, now.phase_id);
    assert_eq!(stands, (TicketStatus::Building, PhaseId::Implementation));
    let said = phase_gate_results::of_ticket(&mut desk.it.read_tx().await, ticket.id, 9).await;
    let said: Vec<_> = said
        .unwrap()
        .into_iter()
        .map(|result| (result.phase_id, result.gate_status))
        .collect();
    let passed = |phase| (phase, GateStatus::Passed);
    assert_eq!(
        said,
        [passed(PhaseId::Design), passed(PhaseId::Requirements)]
    );
}
