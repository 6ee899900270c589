//! The read-only runs of a ticket that is looked into and designed before it is built: each hands in one document, which its
//! ticket keeps.

use serde_json::Value;
use tracing::debug;

use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::phase::{PassedOutput, PhaseRefusal, RefusedOutput, pass_document};
use omoi_domain::lifecycle::ticket::{DocumentPlace, document_place, judge_document};
use omoi_domain::phase::PhaseVerdict;
use omoi_domain::retry::PhaseFailure;
use omoi_execution::ticket_documents::keep_document;
use omoi_plan::items::assemble_output;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tx, phase_definitions, tasks, tickets};

use super::conclude::refuse_phase_run;
use super::phase_change::{PhaseDecision, SpecPhase, change_phase};
use super::step::{PhaseDriver, take_phase_step};
use crate::items::journal;
use crate::planner::output_digest;

/// Takes the step that the rows of the document ask for at which a direct spec stands.
pub(super) async fn document_step(driver: &PhaseDriver, spec: &Spec) -> Result<Next, BoxError> {
    let phase = spec.current_phase;
    let store = &driver.writer.store;
    let known = store.read(async |tx| phases::find(tx, spec.id, phase).await);
    let run = match known.await? {
        Some(run) => run,
        None => {
            let begun = store.write(CrashPoint::PhaseMoved, async |tx| {
                phases::ensure(tx, spec.id, phase).await
            });
            begun.await?
        }
    };
    take_phase_step(driver, SpecPhase { spec, run: &run }).await
}

/// Holds the document that was handed in against the gate of its phase, and accepts it or has it written again.
pub(super) async fn conclude_document(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    place: DocumentPlace,
) -> Result<Next, BoxError> {
    let SpecPhase { spec, run } = at;
    let read = driver.writer.store.read(async |tx| {
        let items = journal(tx, spec.id, run.phase).await?;
        let phases = phase_definitions::of_project(tx, spec.project_id).await?;
        Ok::<_, StoreError>((items, phases))
    });
    let (items, phases) = read.await?;
    let output = assemble_output(run.phase, &items).ok();
    let reasons = match output.as_ref().and_then(document_text) {
        Some(text) => judge_document(&phases, place, text),
        None => vec!["no document was handed in".to_owned()],
    };
    debug!(spec.id = %spec.id, phase = %run.phase, ?reasons, "Judged a document");
    match output {
        Some(output) if reasons.is_empty() => {
            let passed = PassedOutput {
                phase: run.phase,
                verdict: verdict(&reasons),
                score: 1.0,
                digest: output_digest(&output),
                output,
                is_auto_start: spec.options.0.auto_start,
            };
            let decision = PhaseDecision::new(|_| pass_document(passed));
            Ok(change_phase(&driver.writer, at, decision).await?)
        }
        output => {
            let refusal = PhaseRefusal {
                kind: match &output {
                    Some(_) => PhaseFailure::EvaluationFailed,
                    None => PhaseFailure::InvalidOutput,
                },
                feedback: format!("The document is not enough:\n- {}", reasons.join("\n- ")),
                output: Some(RefusedOutput {
                    verdict: verdict(&reasons),
                    score: 0.0,
                    output,
                }),
                is_last: false,
                is_doubt: false,
            };
            refuse_phase_run(driver, at, refusal).await
        }
    }
}

fn document_text(output: &Value) -> Option<&str> {
    output.get("document")?.as_str()
}

fn verdict(reasons: &[String]) -> PhaseVerdict {
    let blockers = reasons.iter().map(|_| "document_not_enough".to_owned());
    PhaseVerdict {
        score: Some(if reasons.is_empty() { 1.0 } else { 0.0 }),
        passed: Some(reasons.is_empty()),
        blockers: blockers.collect(),
        reason: None,
    }
}

/// Gives the ticket of a direct spec the document that `run` made.
pub(super) async fn hand_document_over(
    tx: &mut Tx,
    spec: &Spec,
    run: &PhaseRun,
) -> Result<(), StoreError> {
    let text = run
        .output
        .as_ref()
        .and_then(|output| document_text(&output.0));
    let (Some(_), Some(text)) = (document_place(run.phase), text) else {
        return Ok(());
    };
    let text = text.to_owned();
    let ticket = tickets::of_direct_spec(tx, spec.id).await?.id;
    tasks::hold_around_ticket(tx, ticket).await?;
    tickets::hold_ticket(tx, ticket).await?;
    let mut ticket = tickets::get(tx, ticket).await?;
    keep_document(tx, &mut ticket, run.phase, text).await
}
